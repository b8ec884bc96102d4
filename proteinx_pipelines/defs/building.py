"""Builds what Dagster loads: the assets with their checks, the IO manager, the job and the sensor.

Loading imports neither torch nor lightning nor esm: the daemon, the web server and the code server never need them.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from proteinx_pipelines.defs.assets import stage_assets
from proteinx_pipelines.defs.executor import node_executor
from proteinx_pipelines.defs.io_manager import ExperimentDirIOManager
from proteinx_pipelines.defs.jobs import experiment_job
from proteinx_pipelines.defs.sensor import experiment_queue_sensor


def build_defs(
    *, resources: Mapping[str, Any] | None = None, executor: dg.ExecutorDefinition = node_executor
) -> dg.Definitions:
    """Fresh definitions of this project.

    Args:
        resources: take the place of the project's own of the same names, or stand beside them.
        executor: of the job; by default the node's, which sends steps to the step worker.
    """
    job = experiment_job(executor)
    return dg.Definitions(
        assets=stage_assets(),
        jobs=[job],
        sensors=[experiment_queue_sensor(job)],
        executor=executor,
        resources={"experiment_dir": ExperimentDirIOManager(), **(resources or {})},
    )
