"""The one job: the stages of one experiment, on the node's executor."""

from typing import Any

import dagster as dg

from proteinx_pipelines.pipeline.stages import STAGES

JOB = "experiment"


def experiment_job(executor: dg.ExecutorDefinition) -> Any:
    """The job that materializes the stages of one experiment."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(*STAGES),
        description=f"{' -> '.join(STAGES)}, for one experiment",
        executor_def=executor,
    )
