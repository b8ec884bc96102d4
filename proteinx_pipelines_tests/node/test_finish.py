"""The end of a generation: the files kept from the previous one, and the ends that are retried."""

from collections.abc import Callable
from typing import Any

import pytest

from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.execution import document
from proteinx_pipelines.execution.opened_generation import open_named_generation
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle import attempt_end, dispatch
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt, finish_generation
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.documents import report_document
from proteinx_pipelines_tests.node.world import World


def test_a_generation_cancelled_while_it_waits_leaves_the_earlier_one_as_it_was(world: World) -> None:
    """It was never prepared: the first generation's results were then filed under the second, and `e@1` was gone."""
    directory = ExperimentDir(world.settings.experiments_dir, "e")
    current = world.begin()
    report = report_document(summary={"test/spearman": 0.5})
    write_json(directory.report_json, report)
    finish_attempt(world.settings, world.state, current, RunEnd.SUCCESS)
    waiting = world.arrive(allow_duplicate=True)
    assert waiting.generation == 2
    assert finish_generation(
        world.settings, world.state, waiting, Outcome("CANCELLED", "cancelled", "Enough.")
    )

    first, second = open_named_generation(world.settings, "e@1"), open_named_generation(world.settings, "e")
    assert first.report == Report.model_validate(report)
    assert first.flags["run"]["allow_duplicate"] is False
    assert (second.generation, second.report) == (2, None)
    assert second.flags["run"]["allow_duplicate"] is True
    assert read_json(directory.flags) == second.flags


def test_an_input_that_changed_while_it_was_read_is_tried_again_at_no_cost(world: World) -> None:
    current = world.begin()
    world.state.note_error(current.token or "", "input_changed", "`embedding.weights` changed", "")
    finish_attempt(world.settings, world.state, world.latest(), RunEnd.FAILURE)
    again = world.latest()
    assert (again.state, again.attempt, again.failures, again.losses) == ("PENDING", 2, 0, 1)


@pytest.mark.parametrize(
    ("code", "outlasts_s"), [("backend", 480), ("corrupt_artifact", 480), ("worker_lost", 45)]
)
def test_a_store_that_is_away_for_minutes_ends_no_experiment(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, outlasts_s: int
) -> None:
    """Ten attempts were over within 45 s: a store that was away for a minute failed what referred to its files."""
    pauses: list[float] = []
    retry = world.state.retry

    def noted(*given: Any, delay_s: float, **more: Any) -> Any:
        pauses.append(delay_s)
        return retry(*given, delay_s=0.0, **more)

    monkeypatch.setattr(world.state, "retry", noted)
    current = world.begin()
    for _ in range(attempt_end.MAX_LOSSES):
        attempt_end.settle(world.settings, world.state, current, Outcome("FAILED", code, "It is away."))
        current = world.latest()
        assert current.state == "PENDING"
    assert pauses == sorted(pauses)
    assert (sum(pauses), pauses[0]) == (outlasts_s, 0)
    assert max(pauses) <= attempt_end.MAX_BACKOFF_S
    attempt_end.settle(world.settings, world.state, current, Outcome("FAILED", code, "It is away."))
    assert world.latest().state == "FAILED"


def test_a_page_that_cannot_be_drawn_keeps_no_result_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of an older version lacked what the page asked for: the run host died of it, at each attempt."""

    def broken(*_: object, **__: object) -> None:
        raise LookupError("the report has no such field")

    monkeypatch.setattr(document, "write_report_page", broken)
    current = world.begin(pid=1)
    directory = ExperimentDir(world.settings.experiments_dir, "e")
    directory.root.mkdir(parents=True)
    assert finish_generation(world.settings, world.state, current, Outcome("SUCCEEDED"))
    assert [result["status"] for result in world.results()] == ["SUCCEEDED"]
    assert directory.document.is_file()


@pytest.mark.parametrize("moment", ["while it is planned", "while it is ended"])
def test_a_cancel_that_meets_the_planning_leaves_no_document_that_says_it_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """40 races on a whole node: of one, the result said CANCELLED and `experiment.json` PENDING, for good."""
    current = world.arrive()
    directory = ExperimentDir(world.settings.experiments_dir, "e")
    directory.root.mkdir(parents=True)
    cancelled = Outcome("CANCELLED", "cancelled", "Enough.")
    lock = ProcessLock(world.settings.run_dir / "intake.lock", "The intake")
    planning = Dispatch(world.settings, world.state, world.intake, lock)
    plan = dispatch.plan_generation
    with_reserve = attempt_end.with_reserve

    def planned_meanwhile(settings: Settings, work: Callable[[], bool]) -> bool:
        assert planning._planned(current) is not None  # to the intake it still waits
        assert read_experiment(directory).status == "PENDING"
        return with_reserve(settings, work)

    def cancelled_meanwhile(*given: Any) -> Any:
        assert finish_generation(world.settings, world.state, current, cancelled)
        return plan(*given)

    if moment == "while it is planned":
        monkeypatch.setattr(dispatch, "plan_generation", cancelled_meanwhile)
        assert planning._planned(current) is None
    else:
        monkeypatch.setattr(attempt_end, "with_reserve", planned_meanwhile)
        assert finish_generation(world.settings, world.state, current, cancelled)
    assert world.latest().state == "CANCELLED"
    assert read_experiment(directory).status == "CANCELLED"
