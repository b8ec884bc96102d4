"""Dagster's part in removing and restoring experiments: the partition, and the stages in the history.

Dagster keeps the runs of an archived experiment; without a partition it is not shown any more. The runs of a removed
experiment are deleted too, because its id is free again.
"""

import os
from dataclasses import replace

import dagster as dg

from proteinx_pipelines.defs.history import create_history
from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.defs.run_history import UNFINISHED
from proteinx_pipelines.defs.tags import PARTITION
from proteinx_pipelines.defs.unrun_stages import report_stages
from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.pipeline.plan import REUSED
from proteinx_pipelines.settings import Settings


def open_history(settings: Settings) -> dg.DagsterInstance:
    """Open the node's history for a command; created when there is none."""
    prepare_workdir(settings)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    create_history(settings)
    return dg.DagsterInstance.get()


def refuse_running(instance: dg.DagsterInstance, experiment_id: str) -> None:
    """Refuse an experiment with a run in progress, which may have been started in the web interface.

    Raises:
        NodeBusy: there is such a run; the message names it.
    """
    wanted = dg.RunsFilter(tags={PARTITION: experiment_id}, statuses=UNFINISHED)
    for run in instance.get_runs(wanted, limit=1):
        raise NodeBusy(
            f"Run {run.run_id} of {experiment_id} is {run.status.value}. Wait for its end, or terminate it."
        )


def forget_partition(instance: dg.DagsterInstance, experiment_id: str) -> bool:
    """Remove an experiment's partition; true if there was one."""
    name = str(experiment_partitions.name)
    known = instance.has_dynamic_partition(name, experiment_id)
    if known:
        instance.delete_dynamic_partition(name, experiment_id)
    return known


def forget_runs(instance: dg.DagsterInstance, experiment_id: str) -> int:
    """Delete the ended runs of a removed experiment; returns how many there were.

    The next experiment of that id begins with generation 1, attempt 1 again, and Dagster starts no run whose key it
    has seen: the old run would be mistaken for the new attempt, which would then count as lost.
    """
    found = instance.get_runs(dg.RunsFilter(tags={PARTITION: experiment_id}))
    ended = [run.run_id for run in found if run.is_finished]
    for run_id in ended:
        instance.delete_run(run_id)
    return len(ended)


def show_restored(instance: dg.DagsterInstance, directory: ExperimentDir) -> list[str]:
    """Give a restored experiment its partition back, and its stages where the history has lost them."""
    stages = whole_stages(read_pipeline(directory.pipeline), directory).stages
    kept = {name: replace(entry, action=REUSED) for name, entry in stages.items()}
    return report_stages(instance, directory.experiment_id, kept)
