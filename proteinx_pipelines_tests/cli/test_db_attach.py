"""`proteinx db attach`: checked against the template, kept in the catalog, used by experiments."""

import json
import shutil

import pytest
from click.testing import CliRunner

from proteinx_pipelines.catalog.attachments import attached_content, attachments_of
from proteinx_pipelines.cli.main import main
from proteinx_pipelines_tests.evidence.proteins import fasta, relatives, sequence_of, structure_text

TEMPLATE = sequence_of(40)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROTEINX_WORKDIR", raising=False)
    rows = "".join(
        f"{letter}{at}{'A' if letter != 'A' else 'C'},{at}\n" for at, letter in enumerate(TEMPLATE, 1)
    )
    (tmp_path / "toy.csv").write_text(f"mutant,DMS_score\n{rows}")
    (tmp_path / "toy.json").write_text(json.dumps({"template": TEMPLATE}))
    (tmp_path / "toy.pdb").write_text(structure_text({"A": TEMPLATE}))
    (tmp_path / "other.pdb").write_text(structure_text({"A": sequence_of(40, seed=9)}))
    (tmp_path / "toy.a2m").write_text(fasta(relatives(TEMPLATE, 60)))
    proteinx("import", "toy.csv")
    return tmp_path


def proteinx(*arguments, expect=0):
    result = CliRunner().invoke(main, ["db", *arguments])
    assert result.exit_code == expect, result.output
    return result


def database(folder):
    return folder / "workdir_compute" / "database.db"


def test_both_kinds_are_checked_and_kept_with_their_bytes(folder):
    said = proteinx("attach", "toy", "--structure", "toy.pdb", "--alignment", "toy.a2m").stdout
    for text in ("chain A", "100 % of the template", "100.0 % identical", "61 rows"):
        assert text in said
    (folder / "toy.pdb").unlink()
    shutil.copy(database(folder), folder / "copy.db")
    alignment, structure = attachments_of(folder / "copy.db", ["toy"])
    assert (alignment.kind, structure.kind, structure.name) == ("alignment", "structure", "toy.pdb")
    assert attached_content(folder / "copy.db", alignment) == (folder / "toy.a2m").read_bytes()


def test_a_file_of_another_protein_is_refused_unless_forced(folder):
    said = proteinx("attach", "toy", "--structure", "other.pdb", expect=1).output
    assert "is not that of toy" in said
    assert attachments_of(database(folder), ["toy"]) == []
    proteinx("attach", "toy", "--structure", "other.pdb", "--force")
    assert len(attachments_of(database(folder), ["toy"])) == 1


def test_one_is_replaced_removed_and_goes_with_its_source(folder):
    proteinx("attach", "toy", "--structure", "toy.pdb", "--chain", "A")
    document = json.loads(
        proteinx("attach", "toy", "--alignment", "toy.a2m", "--remove", "structure", "--json").stdout
    )
    assert document["removed"] == ["structure"]
    assert [one["kind"] for one in document["attached"]] == ["alignment"]
    assert set(document) == {"source", "checked", "warnings", "removed", "attached"}  # docs/commands.md
    proteinx("rename", "toy", "mine")
    assert [one.source for one in attachments_of(database(folder), ["mine"])] == ["mine"]
    proteinx("rm", "mine", "--yes")
    assert attachments_of(database(folder), ["mine"]) == []


def test_mistakes_are_named(folder):
    assert (
        "did you mean 'toy'" in proteinx("attach", "tyo", "--structure", "toy.pdb", expect=1).output.lower()
    )
    assert "--structure" in proteinx("attach", "toy", "--chain", "A", expect=2).output
    assert (
        "no protein chain 'Z'"
        in proteinx("attach", "toy", "--structure", "toy.pdb", "--chain", "Z", expect=1).output
    )
    assert "Nothing is attached" in proteinx("attach", "toy").stdout


def test_a_catalog_of_an_older_version_has_none(folder):
    import sqlite3

    with sqlite3.connect(database(folder)) as connection:
        connection.execute("DROP TABLE attachments")
    assert attachments_of(database(folder), ["toy"]) == []


def test_unaligned_homologues_are_aligned_to_the_template(folder):
    rows = relatives(TEMPLATE, 30)[1:]
    unaligned = "".join(f">h {n}\n{row[:20]}{'GGW' * (n % 2)}{row[20:]}\n" for n, row in enumerate(rows))
    (folder / "h.fasta").write_text(f"{unaligned}>stranger\n{sequence_of(40, seed=11)}\n")
    said = proteinx("align", "toy", "h.fasta", "--out", "h.a2m").stdout
    assert "30 of 31 sequences match" in said
    (attached,) = attachments_of(database(folder), ["toy"])
    assert (attached.kind, attached.name) == ("alignment", "h.fasta.a2m")
    aligned = (folder / "h.a2m").read_text().splitlines()
    assert aligned[1].replace(".", "") == TEMPLATE
    for n, row in enumerate(rows):
        found = aligned[aligned.index(next(line for line in aligned if line.endswith(f"/{n}"))) + 1]
        capitals = "".join(letter for letter in found if letter == "-" or letter.isupper())
        assert sum(a == b for a, b in zip(capitals, row, strict=True)) >= 33  # ends that do not match are cut
    (folder / "s.fasta").write_text(f">s\n{sequence_of(40, seed=11)}\n")
    assert "None of the 1 sequences" in proteinx("align", "toy", "s.fasta", expect=1).output
