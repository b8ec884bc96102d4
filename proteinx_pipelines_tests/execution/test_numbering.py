"""From a file in its people's own numbering through the stages: what goes in and what comes out is theirs."""

import shutil
from pathlib import Path

import pyarrow.csv
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.transform.transform import transform_variants

CASES = Path(__file__).parents[1] / "field_cases"
OFFSET_5 = CASES / "01-offset-then-split-file" / "offset5.csv"


def variants_in(database, **data):
    flags = parse_flags({"data": data})
    return transform_variants(select_variants(database, flags.data), flags.transform)


def split_of(variants, file, column="set", **more):
    flags = parse_flags(
        {"data.source": "any", "split": {"method": "file", "path": str(file), "column": column, **more}}
    )
    return assign_split(variants, flags.split)


@pytest.fixture
def database(tmp_path):
    import_file(tmp_path / "database.db", OFFSET_5, offset=5)
    return tmp_path / "database.db"


def test_the_file_that_was_imported_splits_its_own_rows(database):
    """Two of thirty rows matched by coincidence, in the wrong part, and the run succeeded."""
    variants = variants_in(database, source=["offset5"])
    split = split_of(variants, OFFSET_5)
    lines = pyarrow.csv.read_csv(OFFSET_5).to_pylist()
    wanted = {part: {row["DMS_score"] for row in lines if row["set"] == part} for part in ("train", "test")}
    target = variants.column("target")
    assert {part: set(target[getattr(split.folds[0], part)]) for part in wanted} == wanted
    assert split.info["sizes"] == [{"train": 20, "val": 0, "test": 10, "unused": 0}]
    assert (split.info["matched"], split.info["variants"]) == (30, 30)
    assert split.info["numbering"] == {"offset5": "the source's own"}


def test_the_same_rows_in_the_templates_numbering_are_told_apart(database, tmp_path):
    variants = variants_in(database, source=["offset5"])
    own = split_of(variants, OFFSET_5)
    lines = pyarrow.csv.read_csv(OFFSET_5).to_pylist()
    moved = [
        f"{row['mutant'][0]}{int(row['mutant'][1:-1]) - 5}{row['mutant'][-1]},{row['set']}" for row in lines
    ]
    file = tmp_path / "template.csv"
    file.write_text("mutant,set\n" + "\n".join(moved) + "\n")
    split = split_of(variants, file)
    assert [fold.test.tolist() for fold in split.folds] == [fold.test.tolist() for fold in own.folds]
    assert split.info["numbering"] == {"offset5": "the template's"}


def test_a_file_in_a_numbering_that_nobody_gave_is_refused_with_its_offset(tmp_path):
    """The source counts from 1 and the file from 6: the few rows that match do so by chance."""
    database, plain = tmp_path / "database.db", tmp_path / "plain.csv"
    lines = OFFSET_5.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    moved = [f"{mutant[0]}{int(mutant[1:-1]) - 5}{mutant[-1]},{score}" for mutant, score, _ in rows]
    plain.write_text("mutant,DMS_score\n" + "\n".join(moved) + "\n")
    shutil.copy(OFFSET_5.with_suffix(".json"), tmp_path / "plain.json")
    import_file(database, plain)
    with pytest.raises(
        BadSplitFile, match="would fit the template with an offset of 5, and plain was imported with 0"
    ):
        split_of(variants_in(database, source=["plain"]), OFFSET_5)


def test_a_file_of_sequences_splits_too(tmp_path):
    case = CASES / "09-sequence-only"
    template = (case / "template.txt").read_text().strip()
    assay = tmp_path / "assay.csv"
    assay.write_text("mutant,DMS_score\nWT,0\nS2A,-0.3\nA9C:W11L,0.4\n")
    import_file(tmp_path / "database.db", assay, template=template)
    split = split_of(
        variants_in(tmp_path / "database.db", source=["assay"]), case / "flip.csv", val_column="validation"
    )
    (fold,) = split.folds
    assert [split.ids.take(part).to_pylist() for part in (fold.train, fold.val, fold.test)] == [
        ["assay/WT"], ["assay/S2A"], ["assay/A9C:W11L"],
    ]  # fmt: skip
    assert split.info["lines_of_other_variants"] == 1
