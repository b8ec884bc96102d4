"""Attempts behind Dagster runs: found by run id, opened in the process that executes the steps.

One attempt is open at a time (the step worker's concurrency is 1). Runs started by hand in the web UI have no
attempt in `state.db`: they work on the experiment's stored flags and the payload of the message with those flags, and
send no result.
"""

import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from proteinx_pipelines.defs.tags import RunIdentity, identity_of
from proteinx_pipelines.errors import Cancelled, MissingArtifact
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.failure import failure_code, reported_code
from proteinx_pipelines.execution.sinks import ProgressListener
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.disk_reserve import with_reserve
from proteinx_pipelines.redaction import redact_and_cut, scrub
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.known_names import known_here

_open: dict[str, Attempt] = {}


@lru_cache(maxsize=1)
def node_settings() -> Settings:
    """The settings of this process."""
    return load_settings()


@lru_cache(maxsize=1)
def node_state() -> Ledger:
    """This process's connection to `state.db`."""
    return Ledger(node_settings().state_path)


def attempt_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Attempt:
    """Return the attempt that a run executes, opened on first use."""
    if run.run_id not in _open:
        close_attempts()
        _open[run.run_id] = _open_attempt(instance, run)
    return _open[run.run_id]


def close_attempts() -> None:
    """Close the open attempt: the run's steps have ended, or another run begins."""
    while _open:
        # Taken out first: an attempt whose file could not be made durable must not be closed again by the next run.
        _, attempt = _open.popitem()
        attempt.close()


def attempt_is_current(run: dg.DagsterRun) -> bool:
    """True if the run's attempt still owns its experiment; for a run started by hand, if it has not ended."""
    identity = identity_of(run.tags)
    if identity.generation is None:
        return not run.is_finished
    # Not looked up by the run's id: a retry has removed it from the row.
    current = node_state().generation(identity.experiment_id, identity.generation)
    return current is not None and current.state == "RUNNING" and current.run_id == run.run_id


def note_failure(run_id: str, error: BaseException) -> None:
    """Keep a stage's error in `state.db` until the run's end turns it into a result."""
    current = node_state().by_run(run_id)
    if current is not None and current.token is not None:
        scrub(error)  # Dagster records it as well
        trace = "".join(traceback.format_exception(error))
        _note(current.token, failure_code(error), str(error) or repr(error), trace)


def note_failure_event(run_id: str, event: dg.DagsterEvent) -> None:
    """Keep an error that Dagster caught outside a stage's own code, such as an input that could not be read."""
    current = node_state().by_run(run_id)
    error = getattr(event.event_specific_data, "error", None)
    if current is None or current.token is None or error is None:
        return
    trace = error.to_string()
    while error.cause is not None:
        error = error.cause
    _note(current.token, reported_code(error.cls_name or "", error.message), error.message.strip(), trace)


def _note(token: str, code: str, message: str, trace: str) -> None:
    message, trace = redact_and_cut(message), redact_and_cut(trace)
    with_reserve(node_settings(), lambda: node_state().note_error(token, code, message, trace))


def cancel_run(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Ask a run and the experiment that it is an attempt at to stop; false when it has ended."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if identity_of(run.tags).generation is None:
        if run.status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING):
            instance.report_run_canceling(run)
        else:
            instance.report_run_canceled(run, message="Cancelled before it started.")
        return True
    current = node_state().by_run(run_id)
    if current is None or current.is_terminal:
        return False
    node_state().request_cancel(current.experiment_id)
    instance.report_run_canceling(run)
    return True


def _open_attempt(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Attempt:
    settings, identity = node_settings(), identity_of(run.tags)
    if identity.generation is None:
        return _open_by_hand(settings, identity, stops_with(instance, run.run_id))
    current = node_state().by_run(run.run_id)
    if current is None or current.token is None:
        raise MissingArtifact(
            f"Run {run.run_id} of {identity.experiment_id} has no attempt in {settings.state_path}."
        )
    attempt = open_generation(settings, node_state(), current)
    try:
        attempt.take_planned(current.plan or {})
    except BaseException:
        attempt.close()  # otherwise its log would receive the records of later experiments in this process
        raise
    return attempt


def _open_by_hand(settings: Settings, identity: RunIdentity, on_progress: ProgressListener) -> Attempt:
    directory = ExperimentDir(settings.experiments_dir, identity.experiment_id)
    if not directory.flags.is_file():
        raise MissingArtifact(
            f"{directory.flags} is not there: experiment {identity.experiment_id} was never submitted. "
            "Send it through the queue (`proteinx submit`) first."
        )
    document = read_json(directory.flags)
    flags = parse_flags(document, known=known_here())
    message = message_behind(node_state(), identity.experiment_id, document)
    if message is None:  # run locally before: the queue has never seen it
        return Attempt(settings, identity.experiment_id, flags, on_progress=on_progress)
    return Attempt(
        settings,
        message.experiment_id,
        flags,
        generation=message.generation,
        number=message.attempt + 1,  # a folder of its own below staging/, and what is behind it is inherited
        payload_ref=message.payload_ref,
        on_progress=on_progress,
    )


def message_behind(state: Ledger, experiment_id: str, flags: Mapping[str, Any]) -> Generation | None:
    """Newest generation with these flags; the newest of all where somebody has edited the flags.

    Not simply the newest: a waiting generation has not written its flags yet, and may have another payload.
    """
    latest = state.latest(experiment_id)
    if latest is None:
        return None
    newest_first = (state.generation(experiment_id, number) for number in range(latest.generation, 0, -1))
    return next((found for found in newest_first if found is not None and found.flags == flags), latest)


def stops_with(instance: dg.DagsterInstance, run_id: str) -> ProgressListener:
    """For a run started by hand: lets its stages check once a second that nobody has ended it.

    The listener raises `Cancelled`.
    """

    def listen(stage: str, _fraction: float, _note: str) -> None:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished or run.status is dg.DagsterRunStatus.CANCELING:
            raise Cancelled(f"Run {run_id} was cancelled during {stage}.")

    return listen


def open_generation(settings: Settings, state: Ledger, current: Generation) -> Attempt:
    """Open the running attempt of a generation."""
    from proteinx_pipelines.node.talking.status import progress_publisher

    refuse_unknown_names(current.tree, known_here())
    return Attempt(
        settings,
        current.experiment_id,
        current.tree,
        generation=current.generation,
        number=current.attempt,
        payload_ref=current.payload_ref,
        state=state,
        token=current.token,
        on_progress=progress_publisher(settings, current),
    )
