"""The one job: the stages of one experiment, on the node's executor."""

import dagster as dg

from proteinx_pipelines.defs.executor import node_executor
from proteinx_pipelines.execution.stages import STAGE_TABLE

experiment_job = dg.define_asset_job(
    "experiment",
    selection=dg.AssetSelection.assets(*STAGE_TABLE),
    description="selection -> transform -> embedding -> split -> train -> evaluate, for one experiment",
    executor_def=node_executor,
)
