"""A Redis key of the wrong type: data meant for it wait, and all else goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import QueueUnavailable, WrongKeyType
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.queue import answers
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.node.world import World

RESULTS, REPLIES = "experiments:results", "experiments:results:to:notebook"


def message(experiment_id: str, reply_to: str | None = None) -> bytes:
    flags = {"data": {"source": "GB1"}}
    return json.dumps({"experiment_id": experiment_id, "flags": flags, "reply_to": reply_to}).encode()


def succeed(intake: Intake, experiment_id: str, reply_to: str | None = None) -> None:
    """An experiment comes, ends, and its result is owed."""
    intake.ingest(message(experiment_id, reply_to))
    current = intake.state.latest(experiment_id)
    assert current is not None
    assert intake.state.finish(
        current, Outcome("SUCCEEDED"), f"r-{experiment_id}", json.dumps({"result_id": f"r-{experiment_id}"})
    )


def on_list(intake: Intake, key: str) -> list[str]:
    raw = connect(intake.settings.redis_url or "").lrange(key, 0, -1)
    return [json.loads(text)["result_id"] for text in reversed(raw)]


def two_results_while_the_list_is_no_list(intake: Intake) -> list[str]:
    """The incident: SET experiments:results x, two experiments succeed, DEL experiments:results."""
    client = connect(intake.settings.redis_url or "")
    client.set(RESULTS, "x")
    for name in ("a", "b"):
        succeed(intake, name)
        deliver_results(intake.settings, intake.state)
    client.delete(RESULTS)
    deliver_results(intake.settings, intake.state)
    return on_list(intake, RESULTS)


def test_results_wait_while_their_key_is_something_else(intake: Intake) -> None:
    assert two_results_while_the_list_is_no_list(intake) == ["r-a", "r-b"]
    assert intake.state.undelivered() == []


def test_without_the_look_at_the_type_both_results_would_be_lost(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard off: the transaction's marker stands though its push failed, and the next try takes it as delivered."""
    monkeypatch.setattr(answers, "_refuse_unless_list", lambda _key, _kind: None)
    assert two_results_while_the_list_is_no_list(intake) == []
    assert intake.state.undelivered() == []


CALLS: dict[str, tuple[str, Callable[[MasterLine], Any]]] = {
    "deliver": (RESULTS, lambda line: line.deliver("r", 1, "{}")),
    "deliver to one sender": (REPLIES, lambda line: line.deliver("r", 1, "{}", "notebook")),
    "deliver, markers": (f"{RESULTS}:sent", lambda line: line.deliver("r", 1, "{}")),
    "missing": (f"{RESULTS}:sent", lambda line: line.missing([("r", 1)])),
    "forget deliveries": (f"{RESULTS}:sent", lambda line: line.forget_deliveries("9999")),
    "status": ("experiments:status:e", lambda line: line.status("e", Status(state="PENDING"), "accepted")),
    "whose": ("experiments:status:e", lambda line: line.is_open_elsewhere("e")),
    "cancels": ("experiments:cancel", lambda line: line.cancel_requests()),
    "cancel taken": ("experiments:cancel", lambda line: line.cancel_taken("e")),
    "cancel later": ("experiments:cancel", lambda line: line.cancel_later("e")),
    "cancel": ("experiments:cancel", lambda line: line.ask_to_cancel("e")),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_command_says_which_kind_of_trouble_it_is_and_changes_nothing(
    intake: Intake, name: str
) -> None:
    key, call = CALLS[name]
    client = connect(intake.settings.redis_url or "")
    client.set(key, "x")
    with pytest.raises(WrongKeyType, match=r"[Rr]ename or delete"):
        call(master_line(intake.settings))
    assert [found.decode() for found in client.keys("*")] == [key]
    assert client.get(key) == b"x"


@pytest.mark.parametrize("key", ["experiments", "experiments:processing:test-node"])
def test_a_message_stays_where_it_is_while_a_list_of_the_intake_is_something_else(
    intake: Intake, key: str
) -> None:
    client = connect(intake.settings.redis_url or "")
    if key == "experiments":
        client.set(key, "x")
    else:
        intake.queue.enqueue(message("e"))
        client.set(key, "x")
    with pytest.raises(QueueUnavailable):
        intake.take_waiting()
    client.delete(key)
    if key == "experiments":
        intake.queue.enqueue(message("e"))
    intake.take_waiting()
    assert intake.state.latest("e") is not None


def test_a_result_for_one_sender_goes_to_its_list_alone(intake: Intake) -> None:
    intake.ingest(message("e", "notebook"))
    intake.ingest(message("e", "notebook") + b" ")  # a duplicate: refused
    succeed(intake, "other")
    current = intake.state.latest("e")
    assert current is not None
    assert current.reply_to == "notebook"
    assert intake.state.finish(current, Outcome("SUCCEEDED"), "r-e", '{"result_id": "r-e"}')
    deliver_results(intake.settings, intake.state)
    assert on_list(intake, RESULTS) == ["r-other"]
    assert len(on_list(intake, REPLIES)) == 2
    assert on_list(intake, REPLIES)[1] == "r-e"
    left = connect(intake.settings.redis_url or "").ttl(REPLIES)
    assert 0 < left <= answers.REPLIES_KEPT_S


def test_a_list_that_cannot_be_used_does_not_keep_other_results_back(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    client.set(REPLIES, "x")
    for name in ("a", "b"):
        succeed(intake, name, "notebook")
    succeed(intake, "c")
    deliver_results(intake.settings, intake.state)
    assert on_list(intake, RESULTS) == ["r-c"]
    client.delete(REPLIES)
    deliver_results(intake.settings, intake.state)
    assert on_list(intake, REPLIES) == ["r-a", "r-b"]


def test_the_agent_delivers_though_other_keys_are_something_else(world: World) -> None:
    """A status hash, the markers' hash or the cancels in the way of another must not keep results back."""
    client = connect(world.settings.redis_url or "")
    client.set("experiments:cancel", "x")
    client.set("experiments:status:a", "x")
    succeed(world.intake, "b")
    world.arrive("a")
    agent = Agent(world.settings, world.state, world.runs)
    agent._talk()
    assert on_list(world.intake, RESULTS) == ["r-b"]
    assert client.exists("nodes/test-node/heartbeat")


def test_what_is_over_does_not_stay_in_redis_for_ever(intake: Intake) -> None:
    client, line = connect(intake.settings.redis_url or ""), master_line(intake.settings)
    line.status("e", Status(state="SUCCEEDED"), "finished")
    line.deliver("r", 1, "{}")
    assert 0 < client.ttl("experiments:status:e") <= answers.STATUS_KEPT_S
    assert 0 < client.ttl("experiments:results:sent") <= answers.MARKERS_KEPT_S
    line.status("e", Status(state="PENDING"), "accepted")  # a new generation of it
    assert client.ttl("experiments:status:e") == -1
