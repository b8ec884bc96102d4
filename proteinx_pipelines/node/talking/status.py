"""The status hash and the events that the Master's page shows; losing one loses no work.

`state.db` is the truth: the status is a copy, so an unreachable Redis is noted and ignored.
"""

import contextlib
import logging
import time

from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.execution.sinks import ProgressListener
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.pipeline.stages import planned_stages
from proteinx_pipelines.queue.addresses import has_address
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
SILENT_S = 30.0
"""Least time, in seconds, without progress reports after Redis did not answer."""


def publish_state(settings: Settings, current: Generation, event: str, *, error: str | None = None) -> None:
    """Publish the state of a generation for the Master's page; `error` is an error code."""
    fields = {
        "state": current.state,
        "stage": current.stage or _stage_without_a_run(current),
        "progress": _overall(current),
        "generation": current.generation,
        "attempt": current.attempt,
        "position": 0 if current.state != "PENDING" else None,
        "error": error,
    }
    change = Status.model_validate({name: value for name, value in fields.items() if value is not None})
    with contextlib.suppress(QueueUnavailable):
        master_line(settings).status(current.experiment_id, change, event)


def progress_publisher(settings: Settings, current: Generation) -> ProgressListener:
    """Listener that publishes the progress of one attempt, over all stages.

    It is called from the training loop. While Redis is away each try may take seconds, so a failed try is followed by
    a pause: at least `SILENT_S`, and long enough that tries take no more than a tenth of the time.
    """
    silent_until = 0.0

    def tell(stage: str, fraction: float, note: str) -> None:
        nonlocal silent_until
        began = time.monotonic()
        if began < silent_until:
            return
        change = Status(
            state="RUNNING", stage=stage, progress=_over_all_stages(current, stage, fraction), note=note,
            generation=current.generation, attempt=current.attempt, position=0,
        )  # fmt: skip
        try:
            master_line(settings).status(current.experiment_id, change, "progress")
        except QueueUnavailable as error:
            now = time.monotonic()
            silence = max(SILENT_S, 10 * (now - began))
            silent_until = now + silence
            log.warning("%s: no progress is told for %.0f s: %s", current.run_key, silence, error)

    return tell


def forget_status(settings: Settings, experiment_id: str) -> bool:
    """Remove the status hash of a removed experiment; true if there was one."""
    if not has_address(settings):
        return False  # no queue: experiments of this WORKDIR were run locally
    try:
        return master_line(settings).forget_status(experiment_id)
    except QueueUnavailable as error:
        log.warning(
            "%s The status of %s stays there; remove it again when Redis is back.", error, experiment_id
        )
        return False


def _stage_without_a_run(current: Generation) -> str:
    """Stage of an experiment without a run: before the first stage, or behind the last when nothing had to run."""
    return planned_stages(current.plan)[-1 if current.state == "SUCCEEDED" else 0]


def _overall(current: Generation) -> float | None:
    """Overall progress over all stages: `state.db` keeps that of the current stage."""
    if current.state != "RUNNING" or current.stage is None or current.progress is None:
        return current.progress
    return _over_all_stages(current, current.stage, current.progress)


def _over_all_stages(current: Generation, stage: str, fraction: float) -> float:
    names = planned_stages(current.plan)
    return round((names.index(stage) + fraction) / len(names), 4)
