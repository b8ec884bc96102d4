"""The definitions as Dagster sees them."""

import dagster as dg

from proteinx_pipelines.definitions import defs
from proteinx_pipelines.execution.stages import COMPUTATIONS
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
}


def test_there_are_six_assets_partitioned_by_experiment_and_they_depend_as_designed() -> None:
    graph = defs.get_repository_def().asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(STAGES)
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
    assert guarded == set(STAGES)
    assert all(graph.get(key).blocking for key in graph.asset_check_keys)


def test_the_job_uses_the_celery_executor_and_the_sensor_targets_it() -> None:
    job = defs.resolve_job_def("experiment")
    assert job.executor_def.name == "celery"
    sensor = defs.get_repository_def().get_sensor_def("experiment_queue")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.job_name == "experiment"
