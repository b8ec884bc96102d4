"""A file in its users' own numbering through the stages: input and output use their numbering."""

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from click.testing import CliRunner

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.cli.show import _rows_matched
from proteinx_pipelines.errors import BadSplitFile, BadVariants
from proteinx_pipelines.execution.stages import split_rows_matched
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import load_settings
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


def test_what_people_read_of_an_experiment_is_in_their_numbering(database, tmp_path):
    """Tables, messages, maps and derived positions named positions that nobody could find in the file."""
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.experiment import open_experiment

    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path)})
    flags = {
        "data.source": "offset5", "data.csv": True, "transform.derived": ["positions"], "split.method": "file",
        "split.path": str(OFFSET_5), "split.column": "set", "evaluate.bootstrap": 0,
    }  # fmt: skip
    run_local_experiment(settings, "mine", parse_flags(flags))
    found = open_experiment("mine", tmp_path)
    lines = {row["mutant"]: row for row in pyarrow.csv.read_csv(OFFSET_5).to_pylist()}
    for table in (found.predictions, found.variants):
        assert set(table["mutant"]) == set(lines)
        assert (table["id"] == "offset5/" + table["template_mutant"]).all()
        assert all(lines[row.mutant]["DMS_score"] == row.target for row in table.itertuples())
    assert all(lines[row.mutant]["set"] == row.part for row in found.predictions.itertuples())
    assert set(found.variants["positions"]) == {str(position) for position in range(6, 36)}
    selected = pyarrow.csv.read_csv(found.directory.selected.with_suffix(".csv"))
    assert selected["mutant"].to_pylist() == list(lines)
    assert found.report["split"]["info"]["matched"] == 30
    table = found.variant_table
    assert table.rows["mutant"][0].as_py() == "A1C"
    assert table.offsets == {"offset5": 5}


def test_a_refusal_names_a_variant_as_its_file_does(tmp_path):
    file = tmp_path / "assay.csv"
    file.write_text("mutant,DMS_score\nA6C,1\nG7C,-1\nA8D,2\n")
    shutil.copy(OFFSET_5.with_suffix(".json"), tmp_path / "assay.json")
    import_file(tmp_path / "d.db", file, offset=5)
    flags = parse_flags({"data.source": "assay", "transform.target": "log"})
    with pytest.raises(BadVariants, match=r"assay/G7C: score -1\.0"):
        transform_variants(select_variants(tmp_path / "d.db", flags.data), flags.transform)


def test_a_letter_of_the_template_that_some_variants_change_is_what_is_refused(tmp_path):
    """Selenocysteine: the advice was to drop all rows with an unknown letter, and then none was left."""
    case = CASES / "16-template-with-U"
    import_file(tmp_path / "d.db", case / "seleno.csv")
    flags = parse_flags({"data.source": "seleno"})
    whole = transform_variants(select_variants(tmp_path / "d.db", flags.data), flags.transform)
    assert whole.n_variants == len((case / "seleno.csv").read_text().splitlines()) - 1
    changing = tmp_path / "changing.csv"
    changing.write_text((case / "seleno.csv").read_text() + "U30C,1\n")
    shutil.copy(case / "seleno.json", tmp_path / "changing.json")
    import_file(tmp_path / "d.db", changing)
    flags = parse_flags({"data.source": "changing"})
    with pytest.raises(BadVariants, match="The template of changing holds U at 30, which is none"):
        transform_variants(select_variants(tmp_path / "d.db", flags.data), flags.transform)


def test_how_many_rows_matched_is_said_by_plan_train_show_and_lineage(database, tmp_path, monkeypatch):
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    said = "30 of 30 by mutant, in the source's own numbering"
    np.savez(tmp_path / "v.npz", vectors=np.zeros((30, 2), np.float32), mutants=_mutants_of(OFFSET_5))
    split = ["data.source=offset5", "split.method=file", f"split.path={OFFSET_5}", "split.column=set"]
    vectors = ["embedding.name=file", f"embedding.path={tmp_path / 'v.npz'}", "evaluate.bootstrap=0"]
    monkeypatch.setenv("PROTEINX_DATA_ROOTS", str(OFFSET_5.parent))
    planned = CliRunner().invoke(main, ["plan", *split, *vectors])
    assert planned.exit_code == 0, planned.output
    assert f"Rows matched with the file of split.path: {said}" in planned.output
    assert f"Rows matched with the file of embedding.path: {said}" in planned.output
    trained = CliRunner().invoke(main, ["train", *split, *vectors, "--id", "mine", "evaluate.plots=false"])
    assert trained.exit_code == 0, trained.output
    assert re.search(rf"split +computed in .* s; rows matched: {re.escape(said)}", trained.output)
    assert dict(_rows_matched(load_settings(), "mine")) == {
        "embedding": said,
        "split": said,
    }  # what `show` prints
    lineage = CliRunner().invoke(main, ["lineage", "mine"])
    assert f"rows matched {said}" in lineage.output
    half = tmp_path / "half.csv"
    half.write_text("\n".join(OFFSET_5.read_text().splitlines()[:14]) + "\n")
    refused = CliRunner().invoke(main, ["plan", *split[:2], f"split.path={half}", split[3]])
    assert refused.exit_code == 1
    assert "half.csv names 13 of the 30 variants (43%)" in refused.output


def _mutants_of(file):
    return np.array(pyarrow.csv.read_csv(file)["mutant"].to_pylist())


def test_dagster_shows_the_numbering_the_score_and_how_many_rows_matched(database):
    from proteinx_pipelines.defs.metadata import _DESCRIBE

    flags = parse_flags({"data.source": "offset5", "data.score": "DMS_score"})
    selection = select_variants(database, flags.data)
    facts = _DESCRIBE["selection"](selection, None)
    assert facts["numbering"] == "positions of offset5 are +5 of the template's"
    assert facts["score"] == "DMS_score"
    variants = transform_variants(selection, flags.transform)
    lines = OFFSET_5.read_text().splitlines()
    less = database.with_name("less.csv")
    less.write_text("\n".join(lines[:-1]) + "\n")
    assert _DESCRIBE["split"](split_of(variants, less), None)["variants not in the file"] == 1
    assert split_rows_matched(split_of(variants, less).info).startswith("29 of 30 by mutant")
