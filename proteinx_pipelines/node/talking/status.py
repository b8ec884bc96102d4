"""The status hash and the events that the Master's page shows; losing one loses no work.

`state.db` is the truth: what is told here is a copy, so an unreachable Redis is noted and passed over.
"""

import contextlib
import logging
import time

from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.execution.sinks import ProgressListener
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.talking.addresses import has_address
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.pipeline.stages import planned_stages
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
SILENT_S = 30.0
"""Least time, in seconds, for which no progress is told after Redis did not answer."""


def publish_state(settings: Settings, current: Generation, event: str, *, error: str | None = None) -> None:
    """Tell the Master's page how a generation stands; `error` is the code of what went wrong."""
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
    """A listener that tells the progress of one attempt, over all stages.

    It is called from the training loop. While Redis is away each try may take seconds, so that it is silent after one
    that failed: at least `SILENT_S`, and long enough to cost no more than a tenth of the time.
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
    """Remove the status hash of an experiment that is removed; whether there was one."""
    if not has_address(settings):
        return False  # experiments of this WORKDIR were started by hand
    try:
        return master_line(settings).forget_status(experiment_id)
    except QueueUnavailable as error:
        log.warning(
            "%s The status of %s stays there; remove it again when Redis is back.", error, experiment_id
        )
        return False


def _stage_without_a_run(current: Generation) -> str:
    """Where an experiment stands that has not run, or did not need to: before the first stage, or behind the last."""
    return planned_stages(current.plan)[-1 if current.state == "SUCCEEDED" else 0]


def _overall(current: Generation) -> float | None:
    """Progress over all stages: `state.db` keeps that of the stage."""
    if current.state != "RUNNING" or current.stage is None or current.progress is None:
        return current.progress
    return _over_all_stages(current, current.stage, current.progress)


def _over_all_stages(current: Generation, stage: str, fraction: float) -> float:
    names = planned_stages(current.plan)
    return round((names.index(stage) + fraction) / len(names), 4)
