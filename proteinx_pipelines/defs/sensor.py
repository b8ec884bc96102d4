"""The sensor that listens on Redis: the only place where messages become Dagster runs.

It blocks inside its tick, so a message is seen within milliseconds. `node.lifecycle.intake` and
`node.lifecycle.dispatch` decide; this module turns their answers into `RunRequest`s. Every tick requests runs for all
rows that need one: a tick that dies between answering and launching is repeated by the next.
"""

import os
from typing import Any

import dagster as dg

from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.defs.tags import RUN_KEY, run_tags
from proteinx_pipelines.defs.unrun_stages import report_left_out
from proteinx_pipelines.errors import BackendError, NodeBusy
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.processes.code_server import LISTENS

TICK_S = 20.0
"""Longest wait inside one tick, in seconds; Dagster ends a tick after 60."""


def experiment_queue_sensor(job: Any) -> dg.SensorDefinition:
    """The sensor that starts runs of `job`."""
    return dg.SensorDefinition(
        name="experiment_queue",
        job=job,
        evaluation_fn=_tick,
        minimum_interval_seconds=1,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if os.environ.get(LISTENS) else dg.DefaultSensorStatus.STOPPED
        ),
        description="Takes experiments from the Master's queue and requests their runs.",
    )


def _tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Start a run for each experiment that may start now."""
    from proteinx_pipelines.node.lifecycle.dispatch import node_dispatch

    try:
        dispatch = node_dispatch()
        dispatch.on_unchanged = lambda current: report_left_out(context.instance, dispatch.settings, current)
        dispatch.attach_runs(lambda current: _run_of(context.instance, current))
        ready = dispatch.wait_for_work(TICK_S)
    except NodeBusy as error:
        return dg.SkipReason(f"Not listening: {error}")
    except BackendError as error:
        return dg.SkipReason(f"The queue is unknown, not empty: {error}")
    if not ready:
        return dg.SkipReason("No experiment may start now.")
    return dg.SensorResult(
        run_requests=[_request(current, stages) for current, stages in ready],
        dynamic_partitions_requests=[
            experiment_partitions.build_add_request([current.experiment_id for current, _ in ready])
        ],
    )


def _request(current: Generation, stages: tuple[str, ...]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=current.run_key,
        partition_key=current.experiment_id,
        asset_selection=[dg.AssetKey(stage) for stage in stages],
        tags=run_tags(current),
    )


def _run_of(instance: dg.DagsterInstance, current: Generation) -> str | None:
    found = instance.get_runs(dg.RunsFilter(tags={RUN_KEY: current.run_key}), limit=1)
    return found[0].run_id if found else None
