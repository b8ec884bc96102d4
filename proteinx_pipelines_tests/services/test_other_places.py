"""Services on another place than a node's own: what they know is the ports, so that a Master can hand in its own."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from proteinx_pipelines.errors import (
    AlreadyEnded,
    NoResultYet,
    NotReplayable,
    QueueUnavailable,
    UnknownExperiment,
    WouldFail,
)
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services import cancelling, listing, lookup, replaying, results, selecting, submitting

FLAGS = {"data.source": "GB1", "model.name": "gp"}


class Records:
    """Lives in a dictionary, as another database would have them."""

    def __init__(self, *found: Generation) -> None:
        self.found = {(each.experiment_id, each.generation): each for each in found}
        self.asked_to_cancel: list[str] = []

    def latest(self, experiment_id: str) -> Generation | None:
        mine = [each for (name, _), each in self.found.items() if name == experiment_id]
        return max(mine, key=lambda each: each.generation, default=None)

    def generation(self, experiment_id: str, generation: int) -> Generation | None:
        return self.found.get((experiment_id, generation))

    def listing(self, limit: int, state: str | None = None) -> list[Generation]:
        return [each for each in self.found.values() if state in (None, each.state)][:limit]

    def in_state(self, *states: str, limit: int = 1000) -> list[Generation]:
        return [each for each in self.found.values() if each.state in states][:limit]

    def history(self, _experiment_id: str) -> list[dict[str, Any]]:
        return []

    def attempts_at(self, _experiment_id: str, _generation: int) -> list[dict[str, Any]]:
        return []

    def answered(self, _message_key: str) -> Any:
        return None

    def result(self, _result_id: str) -> dict[str, Any] | None:
        return None

    def rejections(self, _limit: int) -> list[dict[str, Any]]:
        return []

    def request_cancel(self, experiment_id: str) -> Generation | None:
        self.asked_to_cancel.append(experiment_id)
        return self.latest(experiment_id)


class Lists:
    """Lists in memory, or a server that is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.sent: list[bytes] = []
        self.replies: dict[str, dict[str, Any]] = {}
        self.away = away

    def send(self, message: bytes) -> None:
        self._answer()
        self.sent.append(message)

    def ask_to_cancel(self, _experiment_id: str) -> None:
        self._answer()

    def job_of(self, message_key: str) -> str | None:
        return None

    def take_reply(self, reply_to: str) -> dict[str, Any] | None:
        return self.replies.pop(reply_to, None)

    def is_heard(self) -> bool:
        return not self.away

    def _answer(self) -> None:
        if self.away:
            raise QueueUnavailable("away")


class Nowhere:
    """A place without directories."""

    def ids(self) -> list[str]:
        return []

    def document(self, _experiment_id: str) -> None:
        return None

    def whereabouts(self, _experiment_id: str) -> str:
        return "removed"


@pytest.fixture
def running(history) -> Generation:
    return history.begin("gb1-runs")


def test_a_message_is_sent_decided_and_answered_over_the_ports_alone() -> None:
    lists = Lists()
    request = submitting.compose(parse_flags(FLAGS), "gb1-a", priority=3)
    submitting.submit(lists, request)
    assert json.loads(lists.sent[0])["reply_to"] == request.message_id
    assert submitting.decision(None, lists, request) is None
    lists.replies[str(request.reply_to)] = {
        "status": "REJECTED",
        "experiment_id": "gb1-a",
        "generation": None,
    }
    found = submitting.await_decision(lambda: None, lists, request, 1.0)
    assert found is not None
    assert not found.accepted


def test_nobody_decides_within_the_time_that_one_waits() -> None:
    request = submitting.compose(parse_flags(FLAGS))
    assert submitting.await_decision(lambda: Records(), Lists(), request, 0.05) is None


def test_what_is_foreseen_is_refused_with_every_problem() -> None:
    problems = [SimpleNamespace(code="a", text="x"), SimpleNamespace(code="b", text="y")]
    planner: Any = SimpleNamespace(rehearse=lambda _flags, _payload: SimpleNamespace(problems=problems))
    with pytest.raises(WouldFail) as caught:
        submitting.refuse_unworkable(planner, submitting.compose(parse_flags(FLAGS)))
    assert caught.value.problems == ("a: x", "b: y")


def test_a_cancel_is_recorded_where_the_lists_are_away(running) -> None:
    records = Records(running)
    assert cancelling.cancel(records, Lists(away=True), "gb1-runs", wait_s=0.0) == running
    assert records.asked_to_cancel == ["gb1-runs"]
    with pytest.raises(AlreadyEnded):
        cancelling.cancel(Records(replace(running, state="FAILED")), Lists(), "gb1-runs")


def test_a_replay_keeps_the_list_of_whoever_waits_for_the_result(running) -> None:
    failed = replace(running, state="FAILED", reply_to="master-7")
    lists = Lists()
    replaying.replay(Records(failed), lists, "gb1-runs")
    assert json.loads(lists.sent[0])["reply_to"] == "master-7"
    with pytest.raises(NotReplayable):
        replaying.replay_of(running)


def test_what_is_not_there_is_named(running) -> None:
    with pytest.raises(UnknownExperiment, match="Did you mean 'gb1-runs'"):
        lookup.find_generation(Records(running), "gb1-run")
    with pytest.raises(UnknownExperiment, match="it has 1 to 1"):
        lookup.find_generation(Records(running), "gb1-runs", 4)
    with pytest.raises(NoResultYet, match=r"it is RUNNING \(train\)"):
        results.result_of(Records(running), "gb1-runs")


def test_rows_are_those_of_the_ports(running) -> None:
    ended = replace(running, experiment_id="gb1-done", state="SUCCEEDED", summary={"test/spearman": 0.5})
    rows = listing.list_experiments(Records(running, ended), Nowhere(), {}, sort="-test/spearman")
    assert [(row.experiment_id, row.whereabouts) for row in rows] == [
        ("gb1-done", "removed"),
        ("gb1-runs", "here"),
    ]
    assert selecting.value_of(rows[0], "model.name") == "ridge"
