"""Fills a WORKDIR with experiments that have finished: rows of `state.db`, runs and events of Dagster's history.

Through the functions that a node uses, without running anything: no files of experiments are made.
"""

import json
import os
import time
import uuid
from typing import Any

import sqlalchemy as sa

from proteinx_pipelines.clock import timestamp_before
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.engine import transaction
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.ledger.tables import outbox
from proteinx_pipelines.node.talking.outbox import REMEMBERED_S
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings

STAGES = always_made()

_SUMMARY = {"test/spearman": 0.8412, "test/rmse": 0.61, "val/spearman": 0.83}


def name_of(number: int) -> str:
    return f"finished-{number:06d}"


def finish_experiments(settings: Settings, first: int, end: int, flags: dict[str, Any]) -> None:
    """Experiments `first` to `end` (exclusive) are accepted, run and succeed, in `state.db` and in the history."""
    runs = {number: str(uuid.uuid4()) for number in range(first, end)}
    _in_state(settings, runs, parse_flags(flags).nested())
    _in_history(settings, runs)


def _in_state(settings: Settings, runs: dict[int, str], flags: dict[str, Any]) -> None:
    state = Ledger(settings.state_path)
    # Whoever fills a history for a benchmark need not survive a power loss; a node waits for the disk.
    sa.event.listen(state.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    state.engine.dispose()
    for number in runs:
        state.accept(
            experiment_id=name_of(number), message_key=f"key-{number}", message_id=None, priority=0,
            payload_ref=None, flags=flags, raw=json.dumps(flags).encode(),
        )  # fmt: skip
    stages = dict.fromkeys(STAGES, "computed")
    for number, run_id in runs.items():
        state.begin(name_of(number), 1, 1, run_id=run_id, host_pid=os.getpid(), timeout_s=None)
        current = state.generation(name_of(number), 1)
        assert current is not None
        result_id = f"result-{number}"
        outcome = Outcome("SUCCEEDED", summary=_SUMMARY, stages=stages)
        answer = {"result_id": result_id, "experiment_id": name_of(number), "summary": _SUMMARY}
        state.finish(current, outcome, result_id, json.dumps(answer))
        state.delivered(result_id, 1)
    # Delivered long ago: a node would ask its Redis for younger ones, and this Redis has never seen them.
    with transaction(state.engine) as connection:
        connection.execute(sa.update(outbox).values(delivered_at=timestamp_before(2 * REMEMBERED_S)))


def _in_history(settings: Settings, runs: dict[int, str]) -> None:
    import dagster as dg
    from dagster._core.events import (
        AssetMaterializationPlannedData,
        DagsterEvent,
        DagsterEventType,
        StepMaterializationData,
    )
    from dagster._core.events.log import EventLogEntry
    from dagster._core.execution.plan.objects import StepSuccessData

    from proteinx_pipelines.definitions import defs
    from proteinx_pipelines.defs.archiving_history import open_history
    from proteinx_pipelines.defs.partitions import experiment_partitions
    from proteinx_pipelines.defs.tags import ATTEMPT, GENERATION, PARTITION, RUN_KEY

    instance = open_history(settings)
    job = defs.resolve_job_def("experiment")
    instance.add_dynamic_partitions(str(experiment_partitions.name), [name_of(number) for number in runs])
    for number, run_id in runs.items():
        experiment_id = name_of(number)
        tags = {PARTITION: experiment_id, GENERATION: "1", ATTEMPT: "1", RUN_KEY: f"{experiment_id}/1/1"}
        run = dg.DagsterRun(
            job_name=job.name, run_id=run_id, tags=tags, status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset(dg.AssetKey(stage) for stage in STAGES),
        )  # fmt: skip
        instance.run_storage.add_run(run)
        kinds = DagsterEventType
        events: list[tuple[DagsterEventType, str | None, Any]] = [
            *((kinds.ASSET_MATERIALIZATION_PLANNED, stage,
               AssetMaterializationPlannedData(dg.AssetKey(stage), partition=experiment_id)) for stage in STAGES),
            (kinds.RUN_START, None, None),
        ]  # fmt: skip
        for stage in STAGES:
            made = dg.AssetMaterialization(asset_key=stage, partition=experiment_id, metadata={"rows": 935})
            events += [
                (kinds.STEP_START, stage, None),
                (kinds.ASSET_MATERIALIZATION, stage, StepMaterializationData(made)),
                (kinds.STEP_SUCCESS, stage, StepSuccessData(duration_ms=50.0)),  # type: ignore[no-untyped-call]
            ]
        events.append((kinds.RUN_SUCCESS, None, None))
        for kind, step, data in events:
            event = DagsterEvent(kind.value, job.name, step_key=step, event_specific_data=data)
            instance.handle_new_event(
                EventLogEntry(  # type: ignore[no-untyped-call]
                    error_info=None, user_message="", level=20, run_id=run.run_id, timestamp=time.time(),
                    step_key=step, job_name=job.name, dagster_event=event,
                )
            )  # fmt: skip
    instance.dispose()
