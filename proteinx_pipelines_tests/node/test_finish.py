"""The end of a generation: the files kept from the previous one, and the ends that are retried."""

import pytest

from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.execution import document
from proteinx_pipelines.execution.opened_generation import open_named_generation
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt, finish_generation
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
