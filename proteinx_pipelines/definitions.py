"""What Dagster loads: the six assets with their checks, the IO manager, the job and the sensor.

Loading imports neither torch nor lightning nor esm: the daemon, the web server and the code server never need them.
"""

import dagster as dg

from proteinx_pipelines.defs.assets import assets
from proteinx_pipelines.defs.executor import node_executor
from proteinx_pipelines.defs.io_manager import ExperimentDirIOManager
from proteinx_pipelines.defs.jobs import experiment_job
from proteinx_pipelines.defs.sensor import experiment_queue_sensor

defs = dg.Definitions(
    assets=assets,
    jobs=[experiment_job],
    sensors=[experiment_queue_sensor],
    executor=node_executor,
    resources={"experiment_dir": ExperimentDirIOManager()},
)
