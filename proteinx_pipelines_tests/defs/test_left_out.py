"""Stages outside every run are still in Dagster's history: with their origin, neither missing nor stale."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from proteinx_pipelines.definitions import defs
from proteinx_pipelines.defs.assets import stage_assets
from proteinx_pipelines.defs.io_manager import ExperimentDirIOManager
from proteinx_pipelines.defs.unrun_stages import report_left_out
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings

STAGES = always_made()

QUICK = {"data.source": "TOY", "evaluate.bootstrap": 0, "evaluate.plots": False}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty history."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def planned(settings: Settings, experiment_id: str, **changes: Any) -> Generation:
    """An accepted generation with its plan, as the sensor leaves it."""
    flags = parse_flags({**QUICK, **changes})
    state = Ledger(settings.state_path)
    before = state.latest(experiment_id)
    number = before.generation + 1 if before else 1
    state.accept(
        experiment_id=experiment_id, message_key=f"{experiment_id}{number}",
        message_id=None, priority=0, payload_ref=None, flags=flags.nested(), raw=b"{}",
    )  # fmt: skip
    state.planned(experiment_id, number, plan_experiment(settings, experiment_id, flags, None).document())
    found = state.generation(experiment_id, number)
    assert found is not None
    return found


def execute(
    instance: dg.DagsterInstance, settings: Settings, current: Generation, *, report: bool = True
) -> list[str]:
    """Do the work of run host and step worker for a generation; returns the reported stages."""
    flags = parse_flags(dict(current.flags))
    reported = report_left_out(instance, settings, current) if report else []
    instance.add_dynamic_partitions("experiment_id", [current.experiment_id])
    write_json(ExperimentDir(settings.experiments_dir, current.experiment_id).flags, flags.nested())
    attempt = Attempt(settings, current.experiment_id, flags)
    attempt.take_planned(current.plan or {})
    attempt.close()
    steps = [stage for stage, entry in (current.plan or {}).items() if entry["action"] == "computed"]
    if steps:
        result = dg.materialize(
            stage_assets(),
            partition_key=current.experiment_id,
            instance=instance,
            selection=dg.AssetSelection.assets(*steps),
            resources={"experiment_dir": ExperimentDirIOManager()},
        )
        assert result.success
    return reported


def status(instance: dg.DagsterInstance, experiment_id: str) -> dict[str, StaleStatus]:
    """State of each asset's partition in the web interface."""
    graph = defs.get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {stage: resolver.get_status(dg.AssetKey(stage), experiment_id) for stage in STAGES}


def last_action(instance: dg.DagsterInstance, stage: str, experiment_id: str) -> Any:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage), asset_partitions=[experiment_id])
    event = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert event is not None
    return event.metadata["action"].value, event.metadata["computed by"].value


FRESH = dict.fromkeys(STAGES, StaleStatus.FRESH)


@pytest.mark.slow
def test_taken_stages_are_neither_missing_nor_stale(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert execute(instance, settings, planned(settings, "a")) == []
    reported = execute(instance, settings, planned(settings, "b", **{"split.seed": 3}))
    assert reported == ["selection", "transform", "embedding"]
    assert status(instance, "b") == FRESH
    assert last_action(instance, "embedding", "b") == ("taken", "a, generation 1")
    assert last_action(instance, "split", "b") == ("computed", "b, generation 1")


@pytest.mark.slow
def test_without_the_report_they_would_be_missing(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Guard off."""
    execute(instance, settings, planned(settings, "a"))
    execute(instance, settings, planned(settings, "b", **{"split.seed": 3}), report=False)
    assert status(instance, "b")["embedding"] is StaleStatus.MISSING


@pytest.mark.slow
def test_an_experiment_that_needs_no_run_gets_its_partition(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    execute(instance, settings, planned(settings, "a"))
    assert report_left_out(instance, settings, planned(settings, "c")) == list(STAGES)
    assert "c" in instance.get_dynamic_partitions("experiment_id")
    assert status(instance, "c") == FRESH


@pytest.mark.slow
def test_what_the_history_knows_is_not_reported_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    execute(instance, settings, planned(settings, "a"))
    assert report_left_out(instance, settings, planned(settings, "a")) == []
    assert execute(instance, settings, planned(settings, "a", **{"split.seed": 2})) == []
    assert status(instance, "a") == FRESH


def test_a_history_that_was_lost_is_filled_from_the_experiments(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    execute(instance, settings, planned(settings, "a"))
    with dg.DagsterInstance.ephemeral() as empty:
        assert report_left_out(empty, settings, planned(settings, "a")) == list(STAGES)
        assert status(empty, "a") == FRESH
        assert last_action(empty, "train", "a")[0] == "reused"


@pytest.mark.slow
def test_a_stage_kept_behind_a_taken_one_is_not_stale(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Another target, same sequences: transform is taken from another experiment, the embedding stays."""
    execute(instance, settings, planned(settings, "a"))
    execute(instance, settings, planned(settings, "b", **{"transform.target": "negate"}))
    reported = execute(instance, settings, planned(settings, "a", **{"transform.target": "negate"}))
    assert "transform" in reported
    assert "embedding" in reported
    assert last_action(instance, "embedding", "a")[0] == "reused"
    assert status(instance, "a") == FRESH


def test_an_entry_that_is_gone_again_is_not_claimed(settings: Settings, instance: dg.DagsterInstance) -> None:
    execute(instance, settings, planned(settings, "a"))
    current = planned(settings, "b")
    (settings.workdir / "store" / "transform").rename(settings.workdir / "gone")
    assert report_left_out(instance, settings, current) == ["selection"]
