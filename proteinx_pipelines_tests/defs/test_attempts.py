"""Attempts in the step process, which lives on: a failure in one of them must not affect the next."""

import errno
import logging
import os
from pathlib import Path

import dagster as dg
import pytest

from proteinx_pipelines.defs import attempts
from proteinx_pipelines.defs.tags import ATTEMPT, GENERATION, PARTITION
from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.plan import TAKEN
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.defs.conftest import empty_job

FLAGS = parse_flags({"data.source": "TOY"})


def log_files() -> set[str]:
    """The files that the package logs into."""
    handlers = logging.getLogger().handlers  # whatever logs, it gets there
    found = {handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)}
    return found - {os.devnull}  # pytest's own


def begun(
    settings: Settings, instance: dg.DagsterInstance, experiment_id: str, plan: object
) -> dg.DagsterRun:
    """The run of an accepted experiment that has begun."""
    state = Ledger(settings.state_path)
    run = instance.create_run_for_job(
        empty_job, tags={PARTITION: experiment_id, GENERATION: "1", ATTEMPT: "1"}
    )
    state.accept(
        experiment_id=experiment_id, message_key=experiment_id, message_id=None,
        priority=0, payload_ref=None, flags=FLAGS.nested(), raw=b"{}",
    )  # fmt: skip
    state.planned(experiment_id, 1, plan)
    assert state.begin(experiment_id, 1, 1, run_id=run.run_id, host_pid=os.getpid(), timeout_s=None)
    return run


def test_an_attempt_that_cannot_be_opened_leaves_no_log_open(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Its `train.log` used to go on, with what every later experiment logged."""
    run = begun(settings, instance, "a", {"split": {"action": TAKEN, "key": "0" * 64}})
    with pytest.raises(CorruptArtifact, match="split"):
        attempts.attempt_of(instance, run)
    assert log_files() == set()


def test_flags_that_cannot_be_written_leave_no_log_open(settings: Settings) -> None:
    ExperimentDir(settings.experiments_dir, "a").flags.mkdir(parents=True)
    with pytest.raises(OSError, match="flags"):
        Attempt(settings, "a", FLAGS)
    assert log_files() == set()


def test_a_disk_error_at_the_end_of_one_run_is_not_the_next_ones(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt stayed open, its descriptor did not: every following experiment failed until a restart."""
    attempt = attempts.attempt_of(instance, begun(settings, instance, "a", {}))
    held = {Path(name) for name in log_files()}
    assert held == {attempt.directory.train_log}
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "disk")))
        with pytest.raises(OSError, match="disk"):
            attempts.close_attempts()
    following = attempts.attempt_of(instance, begun(settings, instance, "b", {}))
    assert {Path(name) for name in log_files()} == {following.directory.train_log}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing lists a process's descriptors here")
def test_a_disk_error_leaves_no_descriptor_open(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempts.attempt_of(instance, begun(settings, instance, "a", {}))
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "disk")))
        with pytest.raises(OSError, match="disk"):
            attempts.close_attempts()
    held = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert not [path for path in held if path.is_relative_to(attempt.directory.root.resolve())]
