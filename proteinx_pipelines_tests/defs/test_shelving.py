"""Dagster's part of removing and restoring: partitions come and go with their experiments."""

import dagster as dg
import pytest

from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.defs.shelving import forget_partition, refuse_running, show_restored
from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.conftest import settings as settings  # a fixture
from proteinx_pipelines_tests.execution.test_store import run

NAME = str(experiment_partitions.name)


def test_a_partition_goes_with_its_experiment() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(NAME, ["a", "b"])
        assert forget_partition(instance, "a")
        assert not forget_partition(instance, "a")
        assert instance.get_dynamic_partitions(NAME) == ["b"]


def test_a_restored_experiment_is_shown_with_its_stages(settings: Settings) -> None:
    run(settings, "a")
    directory = ExperimentDir(settings.experiments_dir, "a")
    with dg.DagsterInstance.ephemeral() as instance:
        assert show_restored(instance, directory) == ["selection", "transform", "embedding", "split"]
        assert instance.get_dynamic_partitions(NAME) == ["a"]
        forget_partition(instance, "a")
        assert show_restored(instance, directory) == []
        assert instance.get_dynamic_partitions(NAME) == ["a"]


def test_an_experiment_with_a_run_is_refused() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        refuse_running(instance, "a")
        instance.create_run_for_job(_job(), tags={"dagster/partition": "a"})
        refuse_running(instance, "b")
        with pytest.raises(NodeBusy, match="of a is NOT_STARTED"):
            refuse_running(instance, "a")


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    return job
