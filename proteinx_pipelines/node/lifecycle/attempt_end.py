"""The end of an attempt: a terminal state with its result, or another attempt.

The one place that decides about retries. Input errors are final; a lost worker is the node's fault and does not use up
the experiment's own retries, at most `MAX_LOSSES` times.
"""

import contextlib
import enum
import logging
import traceback
from dataclasses import replace
from typing import cast

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.base import ErrorFact
from proteinx_pipelines.contract.experiment import ExperimentState
from proteinx_pipelines.contract.result import (
    ResultArtifacts,
    ResultError,
    ResultMessage,
    StageOrigin,
    Status,
    result_id,
)
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.ended_experiments import offer_experiment
from proteinx_pipelines.execution.failure import failure_code
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.tracking.waiting import offer_to_trackers
from proteinx_pipelines.experiment_dir.documents import read_experiment, read_report
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.run import RunFlags
from proteinx_pipelines.ledger.generation import MAX_BACKOFF_S, Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.bundle_writer import bundle_writer
from proteinx_pipelines.node.lifecycle.disk_reserve import with_reserve
from proteinx_pipelines.node.lifecycle.failure_bundle import write_bundle
from proteinx_pipelines.node.lifecycle.oom import memory_message, was_killed_for_memory
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.node.talking.status import publish_state
from proteinx_pipelines.pipeline.plan import COMPUTED, REUSED
from proteinx_pipelines.redaction import redact_and_cut
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
MAX_LOSSES = 10
"""Most attempts lost to the node's own trouble before the experiment is given up."""
TRACE_CHARS = 20_000
"""Length of the end of a trace that goes into a result."""
NODE_FAULTS = {
    "worker_lost",
    "superseded",
    "queue_unavailable",
    "backend",
    "state_unusable",
    "corrupt_artifact",
    "input_changed",
}
"""Codes that are the node's fault: retried without using up `run.retries`."""
_OUTSIDE = {"backend", "queue_unavailable", "corrupt_artifact"}
"""Of these, the codes whose cause may lie outside of the node: a store or a cluster that is away or answers wrongly."""
WORTH_A_RETRY = {"stage_failed", "internal", "disk_full"}
"""Codes that another try may cure, up to `run.retries` times. `code_failed` is not among them: it recurs."""


_UNUSABLE = (OSError, ValueError, TypeError, KeyError, ProteinxError)
"""A full disk, a damaged file, a planted link: files are copies for people and must not delay a result."""


class RunEnd(enum.Enum):
    """Final status of a Dagster run."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELED = "canceled"


def finish_attempt(settings: Settings, state: Ledger, current: Generation, end: RunEnd) -> None:
    """Finish or retry the attempt that a run has executed. A second call does nothing."""
    settle(settings, state, current, _outcome(settings, current, end))


def settle(settings: Settings, state: Ledger, current: Generation, outcome: Outcome) -> None:
    """Give a generation its terminal state, or another attempt where that may cure the failure."""
    outcome = _without_secrets(outcome)
    if outcome.state == "FAILED" and _retry(settings, state, current, outcome):
        renewed = state.generation(current.experiment_id, current.generation)
        if renewed is not None:
            publish_state(settings, renewed, "retrying", error=outcome.error_code)
        return
    finish_generation(settings, state, current, outcome)


def finish_generation(settings: Settings, state: Ledger, current: Generation, outcome: Outcome) -> bool:
    """Write the terminal state and its result, and deliver it.

    `state.db` decides; the files are copies for people. An unusable folder does not delay a result.

    Returns:
        False when the generation has changed since `current` was read: nothing was written.

    Raises:
        StateError: the state cannot be written; the reconciler tries again.
    """
    if not state.stands_as_read(current):
        return False  # a stopped process that resumes must not overwrite newer copies
    outcome = _without_secrets(outcome)
    identity = result_id(
        current.experiment_id,
        current.generation,
        received_at=current.received_at,
        node=settings.node_name,
    )
    result = ResultMessage(
        result_id=identity,
        message_id=current.message_id,
        experiment_id=current.experiment_id,
        generation=current.generation,
        attempt=current.attempt,
        status=cast("Status", outcome.state),
        summary=dict(outcome.summary or {}),
        artifacts=_on_disk(settings, current, outcome),
        stages=cast("dict[str, StageOrigin]", dict(outcome.stages or {})),
        error=_error_of(outcome),
        trace=outcome.trace,
        started_at=current.started_at,
        finished_at=timestamp(),
        node=settings.node_name,
    )
    if not with_reserve(settings, lambda: state.finish(current, outcome, identity, result.to_json())):
        return False
    _restore_document(settings, current, outcome)
    # The status first: a reader that has popped a result finds the status hash in the same state.
    finished = state.generation(current.experiment_id, current.generation)
    if finished is not None:
        publish_state(settings, finished, "finished", error=outcome.error_code)
    deliver_results(settings, state)
    if outcome.state == "FAILED":
        bundle_writer().write_later(current.run_key, lambda: write_bundle(settings, state, current, outcome))
    return True


def _restore_document(settings: Settings, current: Generation, outcome: Outcome) -> None:
    """Write `experiment.json` once more where the intake, which prepared it meanwhile, has written that it waits."""
    with contextlib.suppress(*_UNUSABLE):
        directory = ExperimentDir(settings.experiments_dir, current.experiment_id)
        if directory.document.is_file() and read_experiment(directory).status == "PENDING":
            _on_disk(settings, current, outcome)


def _on_disk(settings: Settings, current: Generation, outcome: Outcome) -> ResultArtifacts:
    """Bring `experiment.json` up to date and list the experiment's files; nothing where the folder is unusable."""
    try:
        directory = ExperimentDir(settings.experiments_dir, current.experiment_id)
        if directory.root.is_dir():
            error = _error_of(outcome)
            # An experiment cancelled while it waits was never prepared: the files there are the earlier generation's.
            directory.refuse_links()
            archive_generation(directory, current.generation)
            write_json(directory.flags, current.flags)
            write_document(
                directory, generation=current.generation, attempt=current.attempt,
                status=cast("ExperimentState", outcome.state),
                flags=current.flags, pipeline=read_pipeline(directory.pipeline), summary=outcome.summary,
                error=ErrorFact(**error.model_dump()) if error else None, node=settings.node_name,
            )  # fmt: skip
            offer_experiment(settings, directory, current.generation)
            offer_to_trackers(settings, directory, current.generation, _run_flags(current))
        return _artifacts(settings, directory)
    except _UNUSABLE as error:
        log.warning("%s: its experiment.json could not be written: %s", current.run_key, error)
        return ResultArtifacts()


def _without_secrets(outcome: Outcome) -> Outcome:
    message, trace = outcome.error_message, outcome.trace
    return replace(
        outcome,
        error_message=message and redact_and_cut(message),
        trace=trace and redact_and_cut(trace)[-TRACE_CHARS:],
    )


def _outcome(settings: Settings, current: Generation, end: RunEnd) -> Outcome:
    stages = stages_of(settings, current)
    if end is RunEnd.SUCCESS:
        try:
            directory = ExperimentDir(settings.experiments_dir, current.experiment_id)
            return Outcome("SUCCEEDED", summary=read_report(directory).summary, stages=stages)
        except (OSError, ValueError, KeyError, ProteinxError) as error:
            message = f"The run succeeded, and its report cannot be read: {error}"
            return Outcome("FAILED", "corrupt_artifact", message, stages=stages)
    if current.cancel_requested:
        return Outcome("CANCELLED", "cancelled", "The experiment was cancelled.", stages=stages)
    if current.error_code is not None:
        return Outcome("FAILED", current.error_code, current.error_message, current.trace, stages=stages)
    if was_killed_for_memory(settings, current):
        return Outcome("FAILED", "out_of_memory", memory_message(current), stages=stages)
    message = "The process that ran the stages vanished; the node's logs say more."
    return Outcome("FAILED", "worker_lost", message, stages=stages)


def stages_of(settings: Settings, current: Generation) -> dict[str, str]:
    """Action of each stage in this generation, over all its attempts: planned ones left alone, and those that ran."""
    plan = {stage: entry["action"] for stage, entry in (current.plan or {}).items()}
    found = {stage: action for stage, action in plan.items() if action != COMPUTED} | dict(current.stages)
    mine = _computed_by(settings, current)
    # An attempt may have died after publishing a stage and before recording it; the next one found it there.
    return {
        stage: COMPUTED if action == REUSED and stage in mine else action for stage, action in found.items()
    }


def _computed_by(settings: Settings, current: Generation) -> set[str]:
    try:
        directory = ExperimentDir(settings.experiments_dir, current.experiment_id)
        entries = read_pipeline(directory.pipeline).stages
    except _UNUSABLE:
        return set()
    who = current.experiment_id, current.generation
    return {stage for stage, entry in entries.items() if entry.was_computed_by(*who)}


def _retry(settings: Settings, state: Ledger, current: Generation, outcome: Outcome) -> bool:
    if outcome.error_code in NODE_FAULTS:
        if current.losses >= MAX_LOSSES:
            return False
        delay, counts = _pause_s(outcome.error_code, current.losses), False
    elif (
        outcome.error_code in WORTH_A_RETRY
        and (run := _run_flags(current))
        and run.retries > current.failures
    ):
        delay, counts = min(MAX_BACKOFF_S, run.retry_backoff_s * (current.failures + 1)), True
    else:
        return False
    reason = f"retry after {outcome.error_code}"
    return with_reserve(
        settings,
        lambda: state.retry(current, delay_s=delay, reason=reason, counts=counts, outcome=outcome),
    )


def _pause_s(code: str | None, losses: int) -> float:
    """Seconds before the next attempt after the node's own trouble.

    A lost worker is there again within seconds. A store that is away may be so for minutes: pauses that double outlast
    eight minutes in `MAX_LOSSES` attempts, where pauses that grow by a second end after less than one.
    """
    return min(MAX_BACKOFF_S, 2.0**losses - 1.0 if code in _OUTSIDE else float(losses))


def _run_flags(current: Generation) -> RunFlags | None:
    """Retry settings of the experiment; None where this version cannot read its flags any more."""
    try:
        return current.tree.run
    except ProteinxError:
        return None


def _error_of(outcome: Outcome) -> ResultError | None:
    if outcome.error_code is None:
        return None
    retryable = outcome.error_code in NODE_FAULTS | WORTH_A_RETRY
    return ResultError(code=outcome.error_code, message=outcome.error_message or "", retryable=retryable)


def _artifacts(settings: Settings, directory: ExperimentDir) -> ResultArtifacts:
    if not directory.root.is_dir():
        return ResultArtifacts()
    return ResultArtifacts(
        directory=directory.root.relative_to(settings.workdir).as_posix(), files=tuple(file_names(directory))
    )


def plain_failure(error: BaseException) -> Outcome:
    """Outcome of an experiment that failed before any stage could run."""
    if isinstance(error, ProteinxError):
        return Outcome("FAILED", error.code, str(error))
    code = failure_code(error)
    trace = "".join(traceback.format_exception(error))
    return Outcome(
        "FAILED",
        "internal" if code in ("stage_failed", "code_failed") else code,
        str(error) or repr(error),
        trace,
    )
