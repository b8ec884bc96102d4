"""The six stages as a person sees them, from the rows that a node writes."""

from dataclasses import replace

import pytest

from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.stage_view import stage_views, stages_sentence

PLAN = {
    "selection": {"action": "reused", "reason": "nothing it depends on has changed"},
    "transform": {"action": "taken", "reason": "gb1-000 has computed the same"},
    "embedding": {"action": "computed", "reason": "`embedding.layer` changed from 6 to 5"},
}


@pytest.fixture
def running(history) -> Generation:
    """At work in `train`, half done, behind a plan that spares two stages."""
    return replace(history.begin("gb1-a"), plan=PLAN, stages={"embedding": "computed", "split": "taken"})


def statuses(current: Generation) -> list[str]:
    return [view.status for view in stage_views(current)]


def test_what_the_run_did_counts_before_what_was_planned(running):
    assert statuses(running) == ["reused", "taken", "computed", "taken", "running", "waiting"]
    views = {view.stage: view for view in stage_views(running)}
    assert (views["train"].fraction, views["train"].reason) == (0.5, "epoch 3 of 6")
    assert views["embedding"].reason == "`embedding.layer` changed from 6 to 5"


@pytest.mark.parametrize(("state", "word"), [("FAILED", "failed"), ("CANCELLED", "cancelled")])
def test_the_stage_at_which_it_ended_says_how_and_those_behind_it_were_not_run(running, state, word):
    ended = replace(running, state=state, error_code="training_diverged")
    assert statuses(ended) == ["reused", "taken", "computed", "taken", word, "not run"]
    assert stage_views(ended)[4].reason == "training_diverged"


def test_a_waiting_one_knows_what_it_will_be_spared(running):
    waiting = replace(running, state="PENDING", stage=None, stages={})
    assert statuses(waiting) == ["reused", "taken", "waiting", "waiting", "waiting", "waiting"]


def test_the_sentence_groups_by_what_happened_in_the_order_of_the_stages():
    stages = {"train": "computed", "selection": "reused", "transform": "reused", "split": "taken"}
    assert stages_sentence(stages) == "reused selection, transform; taken split; computed train"
