"""Dagster's part of removing and restoring: partitions come and go with their experiments."""

import dagster as dg
import pytest

from proteinx_pipelines.defs.archiving_history import (
    forget_partition,
    forget_runs,
    open_history,
    refuse_running,
    show_restored,
)
from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.defs.sensor import _run_of
from proteinx_pipelines.defs.tags import PARTITION, RUN_KEY
from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.conftest import settings as settings  # a fixture
from proteinx_pipelines_tests.execution.test_store import run as run_stages

NAME = str(experiment_partitions.name)


def test_a_partition_goes_with_its_experiment() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(NAME, ["a", "b"])
        assert forget_partition(instance, "a")
        assert not forget_partition(instance, "a")
        assert instance.get_dynamic_partitions(NAME) == ["b"]


def test_a_restored_experiment_is_shown_with_its_stages(settings: Settings) -> None:
    run_stages(settings, "a")
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


def test_the_next_experiment_of_a_removed_ones_id_does_not_get_its_old_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt used to be given the ended run of the same number, and was lost; after eleven, it FAILED."""
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    state = Ledger(settings.state_path)
    state.accept(
        experiment_id="a", message_key="m", message_id=None, priority=0,
        payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip
    current = state.latest("a")
    assert current is not None
    instance = open_history(settings)  # the storages of a node
    try:
        old, other = (
            instance.create_run_for_job(_job(), tags={PARTITION: name, RUN_KEY: f"{name}/1/1"})
            for name in "ab"
        )
        for run in (old, other):
            instance.report_run_failed(run)
        assert _run_of(instance, current) == old.run_id
        assert forget_runs(instance, "a") == 1
        assert _run_of(instance, current) is None
        assert instance.get_run_by_id(other.run_id) is not None
        assert not instance.all_logs(old.run_id)
        assert instance.all_logs(other.run_id)
    finally:
        instance.dispose()


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    return job
