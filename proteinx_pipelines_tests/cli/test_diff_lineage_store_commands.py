"""`proteinx diff`, `lineage`, `store` and `experiment` as a person types them."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog

QUICK = {"data.source": "TOY", "evaluate.bootstrap": 20, "evaluate.plots": False}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Experiments `a` and `b`, which differ in their split."""
    folder = tmp_path_factory.mktemp("cli")
    settings = load_settings({"PROTEINX_WORKDIR": str(folder / "workdir")}, folder)
    settings.workdir.mkdir()
    write_catalog(settings.database_path, n_singles=60, n_doubles=0)
    for name, seed in (("a", 0), ("b", 3)):
        run_local_experiment(settings, name, parse_flags({**QUICK, "split.seed": seed}))
    return settings


@pytest.fixture
def run(workdir: Settings, monkeypatch: pytest.MonkeyPatch):
    """A command in that WORKDIR."""
    monkeypatch.setenv("PROTEINX_WORKDIR", str(workdir.workdir))

    def invoke(*arguments: str, expect: int = 0, **more: str) -> Result:
        result = CliRunner().invoke(main, arguments, **more)
        assert result.exit_code == expect, result.output
        return result

    yield invoke
    os.environ.pop("DAGSTER_HOME", None)


def test_diff_tells_flags_stages_rows_and_metrics(run) -> None:
    text = run("diff", "a", "b").output
    assert "`split.seed` changed from 0 to 3" in text
    assert "60 -> 60 variants" in text
    assert "test/spearman" in text
    assert "tested on different variants" in text
    assert " to " in text  # an interval


def test_diff_as_json_holds_the_same(run) -> None:
    found = json.loads(run("diff", "a", "b", "--json").output)
    assert found["flags"] == ["`split.seed` changed from 0 to 3"]
    assert [stage["stage"] for stage in found["stages"] if not stage["same"]] == [
        "split",
        "train",
        "evaluate",
    ]


def test_diff_with_now_asks_the_database(run) -> None:
    assert "would choose the same rows" in run("diff", "a", "--now").output


@pytest.mark.parametrize("arguments", [("diff", "a"), ("diff", "a", "b", "--now")])
def test_diff_wants_one_other_side(run, arguments: tuple[str, ...]) -> None:
    assert "Give a second experiment, or --now." in run(*arguments, expect=2).output


def test_an_unknown_experiment_is_one_line(run) -> None:
    text = run("diff", "a", "aa", expect=1).output
    assert "Did you mean 'a'?" in text
    assert "Traceback" not in text


def test_lineage_goes_from_metrics_to_the_query(run) -> None:
    text = run("lineage", "b", "--files").output
    assert (
        text.index("test/spearman")
        < text.index("^ evaluate")
        < text.index("^ selection")
        < text.index("SELECT")
    )
    assert "taken; computed by a, generation 1" in text
    assert "artifacts/predictions.parquet" in text
    found = json.loads(run("lineage", "b", "--json").output)
    assert len(found["ancestors"]) == 6
    assert all(len(ancestor["key"]) == 64 for ancestor in found["ancestors"])


def test_the_store_is_listed_checked_and_cleaned(run, workdir: Settings) -> None:
    assert "embedding" in run("store", "ls").output
    entries = json.loads(run("store", "ls", "--entries", "--json").output)
    assert {"a", "b"} <= set(entries[0]["experiments"])
    assert "is intact" in run("store", "verify").output
    assert "would be removed" in run("store", "gc", "--unused-for", "0", "--dry-run").output


def test_damage_in_the_store_ends_with_one(run, workdir: Settings, tmp_path: Path) -> None:
    stored = next((workdir.workdir / "store" / "split").rglob("summary.json"))
    before = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(before + b" ")
    text = run("store", "verify", expect=1).output
    assert "damaged: split" in text
    assert "proteinx store verify --repair" in text
    assert "put back from b" in run("store", "verify", "--repair").output
    assert "is intact" in run("store", "verify").output


def test_an_experiment_is_archived_restored_and_removed(run, workdir: Settings) -> None:
    run_local_experiment(workdir, "c", parse_flags({**QUICK, "split.seed": 5}))
    root = workdir.experiments_dir / "c"
    assert "c.tar" in run("experiment", "archive", "c").output
    assert not root.exists()
    assert "proteinx experiment restore c" in run("lineage", "c", expect=1).output
    assert "is back" in run("experiment", "restore", "c").output
    assert (root / "artifacts" / "report.json").is_file()
    assert not (workdir.workdir / "archive" / "c.tar").exists()
    assert "Remove" in run("experiment", "rm", "c", input="n\n", expect=1).output
    assert root.exists()
    assert "c is removed" in run("experiment", "rm", "c", "--yes").output
    assert not root.exists()
    assert "There is no experiment 'c'" in run("experiment", "rm", "c", "--yes", expect=1).output


def test_a_damaged_archive_changes_nothing(run, workdir: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"not a tar")
    assert "Nothing was changed" in run("experiment", "restore", str(path), expect=1).output
