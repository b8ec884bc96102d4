"""A new stage is one row and its code: everything else follows from them.

The stage of `tally` is added for these tests. It is optional, as one is that only some experiments ask for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.defs import attempts, checks
from proteinx_pipelines.defs.attempts import open_generation
from proteinx_pipelines.defs.building import build_defs
from proteinx_pipelines.defs.unrun_stages import report_left_out
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.opened_generation import open_named_generation
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.pipeline.stages import STAGES, always_made, stages_of
from proteinx_pipelines.services.lineage import lineage
from proteinx_pipelines.services.stage_view import stage_views
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.pipeline import tally

QUICK = {"data.source": "TOY", "evaluate.bootstrap": 0, "evaluate.plots": False}


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row and the code, and nothing else."""
    monkeypatch.setitem(STAGES, tally.ROW.name, tally.ROW)
    monkeypatch.setitem(COMPUTATIONS, tally.ROW.name, tally.CODE)


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A node with a small catalog, as the assets of this process see it."""
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path / "workdir"))
    monkeypatch.setenv("REDIS_URL", redis_url)
    found = load_settings()
    found.workdir.mkdir()
    write_catalog(found.database_path, n_singles=60, n_doubles=10)
    attempts.node_settings.cache_clear()
    attempts.node_state.cache_clear()
    yield found
    attempts.close_attempts()
    attempts.node_settings.cache_clear()
    attempts.node_state.cache_clear()


def flags(**changes: Any) -> ExperimentFlags:
    return parse_flags({**QUICK, "ext.tally": True, **changes})


def to_compute(settings: Settings, of: ExperimentFlags, experiment_id: str = "one") -> tuple[str, ...]:
    return plan_experiment(settings, experiment_id, of, None).to_compute


def test_it_is_planned_run_and_kept_like_every_other(settings: Settings) -> None:
    assert to_compute(settings, flags()) == (*always_made(), "tally")
    finished = run_local_experiment(settings, "one", flags())
    assert read_json(finished.directory.path(tally.FILE)) == {"1": 60, "2": 10}
    entry = read_pipeline(finished.directory.pipeline).stages["tally"]
    assert set(entry.inputs) == {"transform.all", "evaluate.all"}
    assert entry.flags == {"ext": {"tally": True}}
    document = read_json(finished.directory.document)
    assert tally.FILE in document["artifacts"]
    assert list(document["stages"]) == [*always_made(), "tally"]


def test_the_recompute_rule_holds_for_it(settings: Settings) -> None:
    run_local_experiment(settings, "one", flags())
    assert to_compute(settings, flags()) == ()
    assert to_compute(settings, flags(**{"ext.tally": "again"})) == ("tally",)
    assert to_compute(settings, flags(**{"evaluate.metrics": ["ndcg"]})) == ("evaluate", "tally")
    another = plan_experiment(settings, "two", flags(), None)
    assert {planned.stage: planned.action for planned in another.stages}["tally"] == "taken"


def test_a_new_version_of_its_code_computes_it_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_local_experiment(settings, "one", flags())
    monkeypatch.setattr(tally, "TALLY_VERSION", "2")
    plan = plan_experiment(settings, "one", flags(), None)
    assert plan.to_compute == ("tally",)
    assert plan.stages[-1].reason == "code version changed from 1 to 2"


def test_an_experiment_that_does_not_ask_for_it_has_none(settings: Settings) -> None:
    plain = parse_flags(QUICK)
    assert [stage.name for stage in stages_of(plain)] == list(always_made())
    assert to_compute(settings, plain) == always_made()
    directory = run_local_experiment(settings, "one", plain).directory
    assert list(read_pipeline(directory.pipeline).stages) == list(always_made())
    assert not directory.path(tally.FILE).exists()


def test_a_generation_that_does_not_ask_for_it_any_more_loses_it(settings: Settings) -> None:
    """Its files would be listed among the results of flags that never asked for them."""
    directory = run_local_experiment(settings, "one", flags()).directory
    run_local_experiment(settings, "one", parse_flags(QUICK))
    assert "tally" not in read_pipeline(directory.pipeline).stages
    assert not directory.path(tally.FILE).exists()
    assert tally.FILE not in read_json(directory.document)["artifacts"]


def test_nobody_is_left_behind_in_staging(settings: Settings) -> None:
    """The folder is cleared behind the last stage, whichever that is."""
    attempt = Attempt(settings, "one", flags())
    for stage in stages_of(flags()):
        attempt.publish(attempt.run_stage(stage.name, attempt.record))
        assert attempt.staging.root.exists() == (stage.name != "tally")
    attempt.close()


def accepted(settings: Settings, state: Ledger, of: ExperimentFlags) -> Generation:
    """A message that was taken in and planned."""
    state.accept(
        experiment_id="queued", message_key="queued", message_id=None, priority=0,
        payload_ref=None, flags=of.nested(), raw=b"{}",
    )  # fmt: skip
    plan = plan_experiment(settings, "queued", of, None)
    state.planned("queued", 1, plan.document())
    return current(state)


def current(state: Ledger) -> Generation:
    found = state.generation("queued", 1)
    assert found is not None
    return found


def test_the_result_and_the_page_of_an_experiment_name_it(settings: Settings) -> None:
    state = Ledger(settings.state_path)
    attempt_number = accepted(settings, state, flags()).attempt
    assert state.begin("queued", 1, attempt_number, run_id="run", host_pid=1, timeout_s=None) is not None
    attempt = open_generation(settings, state, current(state))
    for stage in stages_of(flags()):
        attempt.publish(attempt.run_stage(stage.name, attempt.record))
    attempt.close()
    finish_attempt(settings, state, current(state), RunEnd.SUCCESS)
    document = state.result(str(current(state).result_id))
    assert document is not None
    result = ResultMessage.model_validate(document)
    assert result.stages == dict.fromkeys((*always_made(), "tally"), "computed")
    assert tally.FILE in result.artifacts.files
    views = {view.stage: view.status for view in stage_views(current(state))}
    assert views["tally"] == "computed"
    assert lineage(open_named_generation(settings, "queued")).ancestors[0].stage == "tally"


def test_dagster_has_an_asset_of_it(settings: Settings) -> None:
    graph = build_defs().get_repository_def().asset_graph
    node = graph.get(dg.AssetKey("tally"))
    assert {parent.to_user_string() for parent in node.parent_keys} == {"transform", "evaluate"}
    assert node.code_version == tally.TALLY_VERSION
    assert node.description == tally.ROW.description
    directory, materialized = run_in_dagster(settings, flags())
    assert materialized == {*always_made(), "tally"}
    assert directory.path(tally.FILE).is_file()


def test_a_run_of_all_assets_leaves_out_what_nobody_asked_for(settings: Settings) -> None:
    """A person who starts a run in the web page chooses all assets."""
    directory, materialized = run_in_dagster(settings, parse_flags(QUICK))
    assert materialized == set(always_made())
    assert not directory.path(tally.FILE).exists()


def test_a_check_of_it_guards_it_and_is_not_asked_where_nobody_asked_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    check = ("Something was counted.", lambda record, _inputs: asked.append(record))
    monkeypatch.setitem(checks._CHECKS, "tally", {"something_was_counted": check})
    run_in_dagster(settings, parse_flags(QUICK))
    assert asked == []
    run_in_dagster(settings, flags())
    assert asked == [{"1": 60, "2": 10}]


def run_in_dagster(settings: Settings, of: ExperimentFlags) -> tuple[ExperimentDir, set[str]]:
    """The job's assets in this process; what was materialized."""
    directory = ExperimentDir(settings.experiments_dir, "hand")
    write_json(directory.flags, of.nested())
    job = build_defs(executor=dg.in_process_executor).resolve_job_def("experiment")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("experiment_id", ["hand"])
        result = job.execute_in_process(instance=instance, partition_key="hand")
        assert result.success
        return directory, {
            event.asset_key.to_user_string()
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }


def test_dagsters_history_shows_it_when_it_was_taken_over(settings: Settings) -> None:
    run_local_experiment(settings, "one", flags())
    state = Ledger(settings.state_path)
    generation = accepted(settings, state, flags())
    with dg.DagsterInstance.ephemeral() as instance:
        assert report_left_out(instance, settings, generation) == [*always_made(), "tally"]
