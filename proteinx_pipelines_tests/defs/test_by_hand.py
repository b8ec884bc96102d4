"""Runs that are started by hand in the web interface: seen, stopped, and ended when nobody executes them."""

from collections.abc import Iterator

import dagster as dg
import pytest

from proteinx_pipelines.defs.attempts import attempt_of, cancel_run
from proteinx_pipelines.defs.run_history import RunHistory
from proteinx_pipelines.defs.tags import GENERATION, PARTITION
from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.runs import HandRun
from proteinx_pipelines.settings import Settings

STARTED, CANCELING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING


@dg.op
def nothing() -> None: ...


@dg.job
def job() -> None:
    nothing()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty history."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def begun(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run of the experiment `hand` that has begun."""
    return instance.create_run_for_job(job, tags={PARTITION: "hand", **tags}, status=STARTED)


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_only_runs_without_a_generation_that_have_begun_are_by_hand(instance: dg.DagsterInstance) -> None:
    begun(instance, **{GENERATION: "1"})
    instance.create_run_for_job(job, tags={PARTITION: "waits"})
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
    waiting = instance.create_run_for_job(job, tags={PARTITION: "hand"})
    assert cancel_run(instance, run.run_id)
    assert cancel_run(instance, waiting.run_id)
    assert status(instance, run) is CANCELING
    assert status(instance, waiting) is dg.DagsterRunStatus.CANCELED
    assert not cancel_run(instance, waiting.run_id)


def test_a_stage_hears_that_its_run_was_terminated(settings: Settings, instance: dg.DagsterInstance) -> None:
    write_json(
        ExperimentDir(settings.experiments_dir, "hand").flags, parse_flags({"data.source": "TOY"}).nested()
    )
    run = begun(instance)
    attempt = attempt_of(instance, run)
    attempt.monitor.begin_stage("train")
    cancel_run(instance, run.run_id)
    with pytest.raises(Cancelled, match="during transform"):
        attempt.monitor.begin_stage("transform")
