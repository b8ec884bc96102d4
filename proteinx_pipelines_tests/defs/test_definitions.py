"""The definitions as Dagster sees them."""

import logging
from pathlib import Path

import dagster as dg
import pytest

from proteinx_pipelines.definitions import defs
from proteinx_pipelines.defs.building import build_defs
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.node.processes.code_server import LISTENS, LOCATION
from proteinx_pipelines.pipeline import stages as rows
from proteinx_pipelines.pipeline.stages import always_made

STAGES = always_made()

READS = {
    "selection": set(),
    "transform": {"selection"},
    "embedding": {"transform"},
    "split": {"transform"},
    "train": {"transform", "embedding", "split"},
    "evaluate": {"transform", "embedding", "split", "train"},
    "design": {"selection", "transform", "embedding", "train", "evaluate"},
}


def test_there_are_seven_assets_partitioned_by_experiment_and_they_depend_as_designed() -> None:
    graph = defs.get_repository_def().asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(rows.STAGES)
    for name, reads in READS.items():
        node = graph.get(dg.AssetKey(name))
        assert {parent.to_user_string() for parent in node.parent_keys} == reads
        assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
        assert node.partitions_def.name == "experiment_id"
        assert node.code_version == COMPUTATIONS[name].version


def test_the_split_does_not_see_the_embedding() -> None:
    assert "embedding" not in rows.STAGES["split"].reads
    assert "split" not in rows.STAGES["embedding"].reads


def test_every_asset_has_a_blocking_check() -> None:
    graph = defs.get_repository_def().asset_graph
    guarded = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert guarded == set(rows.STAGES)
    assert all(graph.get(key).blocking for key in graph.asset_check_keys)


def test_the_job_uses_the_celery_executor_and_the_sensor_targets_it() -> None:
    job = defs.resolve_job_def("experiment")
    assert job.executor_def.name == "celery"
    assert defs.get_repository_def().get_sensor_def("experiment_queue").job_name == "experiment"


@pytest.mark.parametrize("is_code_server", [True, False])
def test_the_sensor_is_on_in_the_nodes_code_server_alone(
    monkeypatch: pytest.MonkeyPatch, is_code_server: bool
) -> None:
    """`dagster dev` on the same history wrote its ticks among the node's, and delayed the node's next one."""
    if is_code_server:
        monkeypatch.setenv(LISTENS, "1")
    sensor = build_defs().get_repository_def().get_sensor_def("experiment_queue")
    wanted = dg.DefaultSensorStatus.RUNNING if is_code_server else dg.DefaultSensorStatus.STOPPED
    assert sensor.default_status is wanted


def ticks_of_another_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """The ticks of one round of a daemon on the node's history, with the definitions loaded by itself."""
    from dagster._core.test_utils import instance_for_test
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.sensor import execute_sensor_iteration

    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path / "workdir"))
    target = ModuleTarget("proteinx_pipelines.definitions", None, None, LOCATION)
    with instance_for_test() as instance, WorkspaceProcessContext(instance, target) as workspace:
        list(execute_sensor_iteration(workspace, logging.getLogger(__name__), None, None))
        (state,) = instance.all_instigator_state() or [None]
        return len(instance.get_ticks(state.instigator_origin_id, state.selector_id)) if state else 0


@pytest.mark.slow
def test_another_daemon_on_the_nodes_history_makes_no_tick(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert ticks_of_another_daemon(monkeypatch, tmp_path) == 0


@pytest.mark.slow
def test_with_the_sensor_on_everywhere_it_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(LISTENS, "1")
    assert ticks_of_another_daemon(monkeypatch, tmp_path) == 1
