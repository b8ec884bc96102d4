"""An experiment that is resubmitted on another node brings its directory along, through the store that both share."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.execution import pulling
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.documents import read_report
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import PIPELINE, REPORT_JSON, ExperimentDir
from proteinx_pipelines.files.shared.experiments import sent_document
from proteinx_pipelines.files.shared.names import generation_folder
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.machines import Machine, actions

CHANGED = {"split.seed": 7}


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    """The node that has worked on `gb1`; all of it is in the store."""
    machine = Machine.at(tmp_path / "here", (tmp_path / "shared").as_uri())
    run_local_experiment(machine.settings, "gb1", parse_flags(QUICK))
    machine.send()
    return machine


@pytest.fixture
def node(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Dispatch]]:
    """Makes the dispatch of another node, with an empty WORKDIR and a real queue."""
    locks = []

    def make(store: str | None = (tmp_path / "shared").as_uri()) -> Dispatch:
        there = Machine.at(tmp_path / f"there-{len(locks)}", store).settings
        own = dataclasses.replace(there, redis_url=settings.redis_url, node_name=settings.node_name)
        for folder in (own.experiments_dir, own.run_dir):
            folder.mkdir(parents=True)
        locks.append(ProcessLock(own.run_dir / "intake.lock", "The intake"))
        state = Ledger(own.state_path)
        return Dispatch(own, state, Intake(own, state, queue_of(own)), locks[-1])

    yield make
    for lock in locks:
        lock.release()


def queue_of(settings: Settings) -> Any:
    from proteinx_pipelines.queue.queue import RedisQueue, connect

    return RedisQueue(connect(settings.redis_url or ""), settings.queue_name, settings.node_name)


def take(dispatch: Dispatch, *, again: bool = True, **changes: Any) -> list[Any]:
    """The message of a resubmitted experiment comes; what may start."""
    flags = {**QUICK, **changes, **({"run.allow_duplicate": True} if again else {})}
    message = {"experiment_id": "gb1", "flags": flags, "message_id": f"m-{sorted(flags)}"}
    dispatch.intake.queue.enqueue(json.dumps(message).encode())
    return dispatch.wait_for_work(0.0)


def run(dispatch: Dispatch, **changes: Any) -> dict[str, str]:
    """Run the stages, as a worker would; what happened to each."""
    return actions(Machine(dispatch.settings).run("gb1", {**QUICK, **changes}))


def test_its_files_and_its_history_come_and_only_what_changed_is_computed(here: Machine, node) -> None:
    wanted = ExperimentDir(here.settings.experiments_dir, "gb1")
    dispatch = node()
    ((current, _stages),) = take(dispatch, **CHANGED)
    assert current.generation == 2
    ours = ExperimentDir(dispatch.settings.experiments_dir, "gb1")
    before = ours.at_generation(1)
    assert read_report(before) == read_report(ours) == read_report(wanted)
    assert file_sha256(before.pipeline) == file_sha256(wanted.path(PIPELINE))
    assert run(dispatch, **CHANGED) == {
        "selection": "reused", "transform": "reused", "embedding": "reused",
        "split": "computed", "train": "computed", "evaluate": "computed",
    }  # fmt: skip
    assert run(dispatch, **CHANGED)["train"] == "reused"


def test_without_a_store_everything_is_computed_anew(here: Machine, node) -> None:
    """The twin."""
    dispatch = node(store=None)
    ((current, _stages),) = take(dispatch, **CHANGED)
    assert current.generation == 1
    assert not ExperimentDir(dispatch.settings.experiments_dir, "gb1").report_json.exists()


def test_a_new_experiment_of_the_same_name_that_may_not_be_repeated_brings_nothing(
    here: Machine, node
) -> None:
    dispatch = node()
    ((current, _stages),) = take(dispatch, again=False)
    assert current.generation == 1
    assert not ExperimentDir(dispatch.settings.experiments_dir, "gb1").report_json.exists()


def test_large_files_stay_and_are_taken_over_by_the_stage_that_needs_them(
    here: Machine, node, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = sent_document(here.blobs, "gb1").artifacts
    large = max(fact.size for name, fact in listed.items() if name.startswith("embeddings/"))
    monkeypatch.setattr(pulling, "LARGE_BYTES", large)
    dispatch = node()
    take(dispatch)
    ours = ExperimentDir(dispatch.settings.experiments_dir, "gb1")
    assert {name for name in listed if not ours.path(name).is_file()} == {
        name for name, fact in listed.items() if fact.size >= large
    }
    assert run(dispatch)["embedding"] == "taken"


@pytest.mark.parametrize("damage", ["bytes", "missing", "away"])
def test_a_store_in_trouble_costs_the_saving_only(
    here: Machine, node, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{generation_folder('gb1', 1)}/{REPORT_JSON}"
    dispatch = node("file:///dev/null/nothing" if damage == "away" else (tmp_path / "shared").as_uri())
    if damage == "bytes":
        here.blobs.write(name, here.blobs.read(name)[:-1] + b"x")
    if damage == "missing":
        here.blobs.remove(name)
    with caplog.at_level(logging.WARNING):
        ((current, _stages),) = take(dispatch, **CHANGED)
    assert current.generation == (1 if damage == "away" else 2)
    assert not ExperimentDir(dispatch.settings.experiments_dir, "gb1").report_json.exists()
    if damage != "away":
        assert "begins without its directory" in caplog.text
