"""Small invented files, each of a kind met in public bug reports: what comes in, what is refused, in which words."""

from pathlib import Path

import pytest

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import CatalogError

CASES = Path(__file__).parents[1] / "field_cases"


def imported(tmp_path, case, file, **options):
    """Mutant -> score of what comes in, and the report."""
    database = tmp_path / "database.db"
    path = CASES / case / file
    if (path.parent / "template.txt").exists():
        options.setdefault("template", str(path.parent / "template.txt"))
    report = import_file(database, path, **options)
    with open_for_reading(database) as connection:
        rows = connection.execute("SELECT mutant, DMS_score FROM mutations ORDER BY id").fetchall()
    return rows, report


def refused(tmp_path, case, file, **options):
    with pytest.raises(CatalogError) as raised:
        imported(tmp_path, case, file, **options)
    assert not (tmp_path / "database.db").exists()
    return raised.value


def test_01_the_offset_of_an_import_is_remembered(tmp_path):
    rows, report = imported(tmp_path, "01-offset-then-split-file", "offset5.csv", offset=5)
    assert len(rows) == 30
    assert rows[0] == ("A1C", 0.04)
    assert report.offset == 5


def test_01_without_it_the_offset_that_fits_all_rows_is_named_first(tmp_path):
    error = refused(tmp_path, "01-offset-then-split-file", "offset5.csv")
    assert error.problems[0] == "All 30 rows fit with --offset 5, 16 as they are."


def test_02_nucleotides_are_not_taken_for_residues(tmp_path):
    message = str(refused(tmp_path, "02-nucleotides-as-protein", "ntvariants.csv"))
    assert "look like nucleotides" in message
    assert "MSEQKTLDAV" in message
    assert "--protein" in message


def test_02_a_protein_of_these_letters_comes_in_when_told_so(tmp_path):
    rows, _ = imported(tmp_path, "02-nucleotides-as-protein", "ntvariants.csv", protein=True)
    assert len(rows) == 15


def test_02_a_protein_with_other_letters_passes(tmp_path):
    path = tmp_path / "protein.csv"
    path.write_text("mutant,DMS_score\nA1C,1\nG2T,2\n")
    assert import_file(tmp_path / "database.db", path, template="AGTCAGTCAGTCAGTCK").rows == 2


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("most_bad", [0.05, 1.0])
def test_04_positions_from_0_are_refused_with_the_offset_first(tmp_path, skip_bad, most_bad):
    """--skip-bad once kept the rows where two neighbours happen to be the same residue."""
    error = refused(tmp_path, "04-zero-based-skip-bad", "zerobased.csv", skip_bad=skip_bad, most_bad=most_bad)
    assert error.problems[0] == "Positions count from 0: all 66 rows fit with --offset -1, 28 as they are."


def test_04_with_the_offset_all_come_in(tmp_path):
    rows, _ = imported(tmp_path, "04-zero-based-skip-bad", "zerobased.csv", offset=-1)
    assert len(rows) == 66
    assert rows[0][0] == "K2C"


def test_06_mavedb(tmp_path):
    rows, report = imported(tmp_path, "06-mavedb-hgvs", "scores.csv")
    assert rows == [
        ("I19G", -0.8), ("A23F", -0.1), ("K5A:L7G", -1.2), ("WT", 0.0), ("WT", 0.0), ("WT", 0.01), ("WT", 0.02),
        ("K5*", -3.1), ("A9del", -2.0), ("L7M:E3I", -0.4),
    ]  # fmt: skip
    assert report.understood["comment lines"] == 2
    assert report.understood["columns"]["mutant"] == "hgvs_pro"


def test_07_pypef(tmp_path):
    rows, report = imported(tmp_path, "07-slash-and-semicolon", "pypef.csv")
    assert rows == [("A9C", 1.3), ("A9C:W11L", 0.25), ("S2A:E3D:Q4K", -0.5), ("WT", 0.0)]
    assert report.understood["columns separated by"] == "semicolon"
    assert report.understood["decimal mark of the score"] == ","
    assert report.understood["notations"]["joined by /"] == 2


def test_09_sequences_alone(tmp_path):
    rows, _ = imported(tmp_path, "09-sequence-only", "flip.csv")
    assert rows == [("WT", 0.0), ("S2A", -0.3), ("A9C:W11L", 0.4), ("E3_Q4insA", -1.0)]


def test_09_without_a_template_the_refusal_says_how_to_give_one(tmp_path):
    path = tmp_path / "flip.csv"
    path.write_bytes((CASES / "09-sequence-only" / "flip.csv").read_bytes())
    with pytest.raises(CatalogError) as raised:
        import_file(tmp_path / "database.db", path)
    assert "--template" in str(raised.value)
    assert "MSEQKTLDAVWRGHNPFYICKLAETSDVQMRNGIPWHKLF" in str(raised.value)


def test_16_a_letter_of_the_template_that_is_no_residue_is_said(tmp_path):
    rows, report = imported(tmp_path, "16-template-with-U", "seleno.csv")
    assert len(rows) == 74
    assert len(report.odd) == 1
    assert report.odd[0].startswith("the template has U at 30")


def test_18_insertions_and_deletions_are_kept(tmp_path):
    rows, report = imported(tmp_path, "18-indels", "indels.csv")
    assert [mutant for mutant, _ in rows] == ["WT", "E3_Q4insA", "K5del", "A9del", "I19G"]
    assert report.understood["template"].endswith("the row of the wild type")


def test_18_proteingyms_indels_are_read_from_their_sequences(tmp_path):
    template = (CASES / "06-mavedb-hgvs" / "template.txt").read_text().strip()
    rows, _ = imported(tmp_path, "18-indels", "proteingym_indels.csv", template=template)
    assert rows == [("E3_Q4insA", -1.0), ("K5del", -2.0)]
