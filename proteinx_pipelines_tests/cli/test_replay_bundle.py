"""A failure bundle on another node: what it needs, what is lacking there, and the experiment once more."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from proteinx_pipelines import metrics
from proteinx_pipelines.catalog.source_digest import source_digest
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.cli.conftest import History, Proteinx
from proteinx_pipelines_tests.execution.conftest import write_catalog

FAILED = Outcome("FAILED", "disk_full", "no space left", "Traceback")
FLAGS: dict[str, Any] = {
    "data": {"source": "TOY"},
    "split": {"method": "random"},
    "evaluate": {"bootstrap": 10, "plots": False},
}

Fail = Callable[..., Path]


@pytest.fixture
def fail(history: History, settings: Settings) -> Fail:
    """An experiment fails on the first node, which has the catalog; its bundle."""

    def run(**more: Any) -> Path:
        write_catalog(settings.database_path)
        history.arrive("bad", flags={**FLAGS, **more})
        history.end("bad", FAILED)
        return settings.paths.failure_bundle("bad", 1)

    return run


@pytest.fixture
def other(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Another node: what commands see from here on, once `move` was called."""
    url = settings.redis_url or ""
    found = load_settings(
        {"PROTEINX_WORKDIR": str(folder / "other"), "PROTEINX_NODE_NAME": "other", "REDIS_URL": url}
    )
    found.workdir.mkdir()
    return found


def move(other: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROTEINX_WORKDIR", str(other.workdir))
    monkeypatch.setenv("PROTEINX_NODE_NAME", "other")


def needs(result: Result) -> dict[str, str]:
    """What is needed -> how it stands, read from the table."""
    lines = [line.split("  ") for line in result.output.splitlines() if "  " in line]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {cell[0]: cell[1] for cell in cells if len(cell) > 2}


def waiting(settings: Settings) -> list[dict[str, Any]]:
    found = connect(settings.redis_url or "").lrange(settings.queue_name, 0, -1)
    return [json.loads(raw) for raw in found]


def test_on_another_node_with_the_same_data_it_runs_and_gives_the_same(
    proteinx: Proteinx, fail: Fail, settings: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    move(other, monkeypatch)
    write_catalog(other.database_path)
    checked = proteinx("replay", str(bundle), "--check")
    assert needs(checked) == {"source TOY": "there"}
    assert "disk_full: no space left" in checked.output
    assert not (other.workdir / "experiments" / "bad").exists(), "--check runs nothing"
    proteinx("replay", str(bundle), "--here", "--id", "again")
    expected = run_local_experiment(
        settings, "by-hand", parse_flags(FLAGS)
    ).directory.predictions.read_bytes()
    assert ExperimentDir(other.experiments_dir, "again").predictions.read_bytes() == expected


def test_it_goes_to_the_queue_once_and_says_where_it_came_from(
    proteinx: Proteinx, fail: Fail, settings: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    here = settings.node_name
    move(other, monkeypatch)
    write_catalog(other.database_path)
    proteinx("replay", str(bundle))
    (message,) = waiting(settings)
    assert (message["experiment_id"], message["message_id"]) == ("bad", f"replay-{here}-bad-1")
    assert message["flags"]["data"]["source"] == ["TOY"]
    assert message["flags"]["run"]["resume"] is True


def test_where_it_failed_the_file_and_the_id_are_one_replay(
    proteinx: Proteinx, fail: Fail, history: History
) -> None:
    bundle = fail()
    proteinx("replay", str(bundle))
    proteinx("replay", "bad")
    history.intake.take_waiting()
    current = history.state.latest("bad")
    assert current is not None
    assert current.generation == 2


def test_without_its_data_nothing_is_sent(
    proteinx: Proteinx, fail: Fail, settings: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    move(other, monkeypatch)
    refused = proteinx("replay", str(bundle), expect=1)
    assert needs(refused) == {"source TOY": "lacking"}
    assert "db import" in refused.output
    assert waiting(settings) == []


def test_other_measurements_under_the_same_name_are_another_experiment(
    proteinx: Proteinx, fail: Fail, settings: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    move(other, monkeypatch)
    write_catalog(other.database_path)
    with sqlite3.connect(other.database_path) as connection:
        connection.execute("UPDATE mutations SET DMS_score = DMS_score + 1e-9 WHERE id = 7")
    refused = proteinx("replay", str(bundle), expect=1)
    assert needs(refused) == {"source TOY": "differs"}
    assert waiting(settings) == []
    proteinx("replay", str(bundle), "--force")
    assert len(waiting(settings)) == 1


def test_the_order_of_rows_and_their_ids_are_no_content(tmp_path: Path) -> None:
    write_catalog(tmp_path / "a.db")
    write_catalog(tmp_path / "b.db")
    with sqlite3.connect(tmp_path / "b.db") as connection:
        connection.execute("UPDATE mutations SET id = 10000 - id")
    first = source_digest(tmp_path / "a.db", "TOY")
    assert first == source_digest(tmp_path / "b.db", "TOY")
    assert first is not None
    assert first[0] > 200
    assert source_digest(tmp_path / "a.db", "TOYS") is None
    for change in (
        "UPDATE mutations SET DMS_score_bin = '1' WHERE id = 9999",
        "UPDATE sources SET template = template || 'A'",
    ):
        with sqlite3.connect(tmp_path / "b.db") as connection:
            connection.execute(change)
        assert source_digest(tmp_path / "b.db", "TOY") != first, change


def test_a_plugin_that_is_not_here_is_named(
    proteinx: Proteinx, fail: Fail, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.register("lab_score", lambda target, prediction: 0.5)
    try:
        bundle = fail(evaluate={"metrics": ["spearman", "lab_score"]})
    finally:
        metrics._registered.pop("lab_score")
    document = json.loads(bundle.read_text(encoding="utf-8"))
    document["code"]["plugins"] = {"module lab": {"module": "lab", "version": None, "commit": "1" * 40}}
    bundle.write_text(json.dumps(document), encoding="utf-8")
    move(other, monkeypatch)
    write_catalog(other.database_path)
    refused = proteinx("replay", str(bundle), expect=1)
    assert "lab_score" in refused.output
    assert "plugins lab" in " ".join(refused.output.split())


def test_files_are_compared_by_their_bytes(
    proteinx: Proteinx, fail: Fail, settings: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.workdir.mkdir(exist_ok=True)
    file = settings.workdir / "split.csv"
    file.write_text("mutant,part\nM1A,train\n")
    bundle = fail(split={"method": "file", "path": str(file), "column": "part"})
    document = json.loads(bundle.read_text(encoding="utf-8"))
    assert document["needs"]["files"]["split.path"]["sha256"]
    move(other, monkeypatch)
    monkeypatch.setenv("PROTEINX_DATA_ROOTS", str(settings.workdir))
    write_catalog(other.database_path)
    name = f"split.path {file}"
    assert "lacking" not in proteinx("replay", str(bundle), "--check").output
    file.write_text("mutant,part\nM1A,test\n")
    assert "differs" in proteinx("replay", str(bundle), "--check", expect=1).output
    file.unlink()
    assert "lacking" in proteinx("replay", str(bundle), "--check", expect=1).output
    assert name.split()[0] in proteinx("replay", str(bundle), "--check", expect=1).output


def test_weights_that_are_not_here_are_said_with_their_place(
    proteinx: Proteinx, fail: Fail, other: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = fail(embedding={"name": "esm2_t6_8M_UR50D"})
    move(other, monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    write_catalog(other.database_path)
    refused = proteinx("replay", str(bundle), "--check", expect=1)
    assert needs(refused)["weights esm2_t6_8M_UR50D"] == "lacking"


def test_another_version_is_told_and_keeps_nobody_from_trying(
    proteinx: Proteinx, fail: Fail, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    document = json.loads(bundle.read_text(encoding="utf-8"))
    document["versions"]["numpy"] = "0.9"
    bundle.write_text(json.dumps(document), encoding="utf-8")
    move(other, monkeypatch)
    write_catalog(other.database_path)
    assert needs(proteinx("replay", str(bundle), "--check")) == {
        "source TOY": "there",
        "numpy": "other version",
    }


def test_a_bundle_of_release_0_1_0_is_compared_as_far_as_it_tells(
    proteinx: Proteinx, fail: Fail, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = fail()
    document = json.loads(bundle.read_text(encoding="utf-8"))
    del document["needs"], document["code"], document["attempts"]
    bundle.write_text(json.dumps(document), encoding="utf-8")
    move(other, monkeypatch)
    assert needs(proteinx("replay", str(bundle), "--check", expect=1)) == {"source TOY": "lacking"}
    write_catalog(other.database_path)
    assert "says nothing of its content" in " ".join(
        proteinx("replay", str(bundle), "--check").output.split()
    )


def test_data_that_came_with_the_message_are_found_where_they_are_now(
    proteinx: Proteinx, history: History, settings: Settings, other: Settings, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.workdir.mkdir(exist_ok=True)
    write_catalog(settings.workdir / "theirs.db")
    history.arrive("bad", flags=FLAGS, payload_ref="theirs.db")
    history.end("bad", FAILED)
    bundle = settings.paths.failure_bundle("bad", 1)
    move(other, monkeypatch)
    assert needs(proteinx("replay", str(bundle), "--check", expect=1))["source TOY"] == "lacking"
    copied = folder / "copied.db"
    copied.write_bytes((settings.workdir / "theirs.db").read_bytes())
    proteinx("replay", str(bundle), "--here", "--payload", str(copied))
    assert ExperimentDir(other.experiments_dir, "bad").report_json.is_file()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"experiment_id": "a"}', "mutant,DMS_score\n"])
def test_another_file_is_no_bundle(
    proteinx: Proteinx, settings: Settings, folder: Path, content: str
) -> None:
    path = folder / "x.json"
    path.write_text(content)
    assert "is not a failure bundle" in " ".join(proteinx("replay", str(path), expect=1).output.split())


def test_what_is_for_bundles_is_refused_for_an_id(proteinx: Proteinx, settings: Settings) -> None:
    assert "is no file" in proteinx("replay", "bad", "--here", expect=2).output
