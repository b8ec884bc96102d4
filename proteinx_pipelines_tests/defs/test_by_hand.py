"""Runs started by hand in the web interface: seen, stopped, and ended when no process executes them."""

from typing import Any

import dagster as dg
import pytest

from proteinx_pipelines.defs.attempts import attempt_of, cancel_run
from proteinx_pipelines.defs.run_history import RunHistory
from proteinx_pipelines.defs.tags import GENERATION, PARTITION
from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.runs import HandRun
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.defs.conftest import empty_job
from proteinx_pipelines_tests.execution.conftest import write_catalog

STARTED, CANCELING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING


def begun(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run of the experiment `hand` that has begun."""
    return instance.create_run_for_job(empty_job, tags={PARTITION: "hand", **tags}, status=STARTED)


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_only_runs_without_a_generation_that_have_begun_are_by_hand(instance: dg.DagsterInstance) -> None:
    begun(instance, **{GENERATION: "1"})
    instance.create_run_for_job(empty_job, tags={PARTITION: "waits"})
    run = begun(instance)
    assert RunHistory(instance).by_hand() == [HandRun(run.run_id, is_stopping=False)]
    instance.report_run_canceling(run)
    assert RunHistory(instance).by_hand() == [HandRun(run.run_id, is_stopping=True)]
    instance.report_run_canceled(run)
    assert RunHistory(instance).by_hand() == []


def test_a_new_run_host_ends_what_an_earlier_one_executed_by_hand(instance: dg.DagsterInstance) -> None:
    """It stayed STARTED for ever, and the experiment could not be removed."""
    by_hand, queued = begun(instance), begun(instance, **{GENERATION: "1"})
    RunHistory(instance).end_left_behind()
    assert status(instance, by_hand) is dg.DagsterRunStatus.FAILURE
    assert status(instance, queued) is STARTED  # the reconciler's


@pytest.mark.usefixtures("settings")
def test_a_run_by_hand_can_be_terminated(instance: dg.DagsterInstance) -> None:
    """The web interface used to answer: unable to terminate."""
    run = begun(instance)
    waiting = instance.create_run_for_job(empty_job, tags={PARTITION: "hand"})
    assert cancel_run(instance, run.run_id)
    assert cancel_run(instance, waiting.run_id)
    assert status(instance, run) is CANCELING
    assert status(instance, waiting) is dg.DagsterRunStatus.CANCELED
    assert not cancel_run(instance, waiting.run_id)


def write_flags(settings: Settings, seed: int = 0) -> None:
    """Write the files of the previous attempt: the flags of the experiment `hand`."""
    directory = ExperimentDir(settings.experiments_dir, "hand")
    write_json(directory.flags, flags(seed))


def flags(seed: int = 0) -> dict[str, Any]:
    return dict(parse_flags({"data.source": "TOY", "split.seed": seed}).nested())


def accept(settings: Settings, generation: int, seed: int, payload_ref: str | None) -> None:
    """A message of the queue for the experiment `hand`."""
    state = Ledger(settings.state_path)
    state.accept(
        experiment_id="hand", message_key=f"hand{generation}",
        message_id=None, priority=0, payload_ref=payload_ref, flags=flags(seed), raw=b"{}",
    )  # fmt: skip


def test_a_run_by_hand_selects_from_its_messages_payload(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """It used to select from the node's own catalog, and to call itself generation 1."""
    mine, newer = settings.workdir / "mine.db", settings.workdir / "newer.db"
    for path in (mine, newer):
        write_catalog(path, n_singles=20, n_doubles=0)
    accept(settings, 1, seed=0, payload_ref=None)
    accept(settings, 2, seed=1, payload_ref="mine.db")
    accept(settings, 3, seed=2, payload_ref="newer.db")  # waits: the flags on disk are not its own
    write_flags(settings, seed=1)
    attempt = attempt_of(instance, begun(instance))
    assert attempt.inputs.database() == mine
    assert (attempt.generation, attempt.number) == (2, 2)


def test_flags_edited_by_hand_belong_to_the_newest_message(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    write_catalog(settings.workdir / "mine.db", n_singles=20, n_doubles=0)
    accept(settings, 1, seed=0, payload_ref="mine.db")
    write_flags(settings, seed=7)
    assert attempt_of(instance, begun(instance)).inputs.database() == settings.workdir / "mine.db"


def test_an_experiment_that_the_queue_never_saw_selects_from_the_catalog(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    write_flags(settings)
    attempt = attempt_of(instance, begun(instance))
    assert (attempt.inputs.database(), attempt.generation) == (settings.database_path, 1)


def test_a_stage_hears_that_its_run_was_terminated(settings: Settings, instance: dg.DagsterInstance) -> None:
    write_flags(settings)
    run = begun(instance)
    attempt = attempt_of(instance, run)
    attempt.monitor.begin_stage("train")
    cancel_run(instance, run.run_id)
    with pytest.raises(Cancelled, match="during transform"):
        attempt.monitor.begin_stage("transform")
