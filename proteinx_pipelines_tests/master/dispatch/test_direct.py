"""The direct path: a program that knows only Redis sees of a Master what it saw of a node alone."""

import json
from typing import Any

import pytest

from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.master.dispatch import answering, dispatcher
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines_tests.master.dispatch.conftest import World

FLAGS = {"data": {"source": "GB1"}}


def message(experiment_id: str = "e-1", **more: Any) -> dict[str, Any]:
    return {"experiment_id": experiment_id, "flags": FLAGS, "message_id": f"m-{experiment_id}", **more}


def popped(world: World, key: str = "experiments:results") -> list[dict[str, Any]]:
    found = [json.loads(raw) for raw in reversed(world.client.lrange(key, 0, -1))]
    world.client.delete(key)
    for each in found:
        ResultMessage.model_validate(each)
    return found


def status(world: World, experiment_id: str) -> Status:
    return Status.from_hash(world.client.hgetall(f"experiments:status:{experiment_id}"))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"not json", "not_json"),
        (b'{"experiment_id": "e"}', "missing_field"),
        (b'{"experiment_id": "../e", "flags": {"data": {"source": "x"}}}', "bad_id"),
        (b'{"experiment_id": "e", "flags": {"data": {"source": "x"}, "trian": {}}}', "bad_flags"),
        (
            b'{"experiment_id": "e", "flags": {"data": {"source": "x"}, "model": {"name": "rigde"}}}',
            "bad_flags",
        ),
        (
            b'{"experiment_id": "e", "flags": {"data": {"source": "x"}}, "payload_ref": "ftp://h/x.csv"}',
            "path_not_allowed",
        ),
        (
            b'{"experiment_id": "e", "flags": {"data": {"source": "x"}}, "payload_ref": "s3://h/x.csv"}',
            "path_not_allowed",
        ),
    ],
)
def test_an_invalid_message_is_answered_with_a_refusal_without_a_node(
    world: World, raw: bytes, code: str
) -> None:
    world.node("n1")
    world.round()
    world.send(raw)
    world.round()
    result = popped(world)[0]
    assert (result["status"], result["error"]["code"], result["node"]) == ("REJECTED", code, "master")
    assert [row["state"] for row in world.rows()] == ["REJECTED"]
    world.send(raw)  # again: the same answer
    world.round()
    assert popped(world) == [result]
    assert len(world.rows()) == 1


def test_a_node_that_refuses_is_passed_on_with_the_senders_own_names(world: World) -> None:
    node = world.node("n1")
    world.send(message(payload_ref="/etc/passwd", reply_to="mine"))
    world.round()
    taken = node.claim()
    assert taken is not None
    node.finish(taken, "REJECTED")
    world.round()
    result = popped(world, "experiments:results:to:mine")[0]
    assert (result["status"], result["message_id"], result["node"]) == ("REJECTED", "m-e-1", "n1")
    assert world.client.llen("experiments:results") == 0


def test_the_status_hash_tells_of_waiting_running_and_the_end_before_the_result(world: World) -> None:
    node = world.node("n1")
    world.send(message("first"))
    world.send(message("second", priority=-1))
    first, second = status(world, "first"), status(world, "second")
    assert (first.state, first.position, second.position) == ("PENDING", 1, 2)
    world.round()
    assert status(world, "second").position == 1
    taken = node.claim()
    assert taken is not None
    node.finish(taken)
    world.client.hset(node.keys.status("first"), mapping={"stage": "evaluate", "node": "n1"})
    world.round()
    assert len(popped(world)) == 1
    ended = status(world, "first")
    assert (ended.state, ended.stage, ended.node) == ("SUCCEEDED", "evaluate", "n1")


def test_a_cancel_of_a_waiting_experiment_is_answered_without_a_node(world: World) -> None:
    world.send(message())
    world.client.lpush("experiments:cancel", "e-1")
    world.round()
    result = popped(world)[0]
    assert (result["status"], result["message_id"], result["error"]["code"]) == (
        "CANCELLED",
        "m-e-1",
        "cancelled",
    )
    assert status(world, "e-1").state == "CANCELLED"
    assert world.client.llen("experiments:cancel") == 0


def test_an_experiment_cancelled_before_a_node_has_it_was_to_be_the_next_generation(world: World) -> None:
    """Incident: it was always answered as generation 1, which an earlier job of the experiment had been."""
    node = world.node("n1")
    repeated = {**FLAGS, "run": {"allow_duplicate": True}}
    for generation in (1, 2):
        world.send(message(message_id=f"m-{generation}", flags=repeated))
        world.round()
        taken = node.claim()
        assert taken is not None
        node.finish(taken, generation=generation)
        world.round()
    world.change_nodes("UPDATE nodes SET is_drained = true")
    world.send(message(message_id="m-3", flags=repeated))
    world.send(message("other"))
    world.client.lpush("experiments:cancel", "e-1", "other")
    world.round()
    answers = {each["message_id"]: each for each in popped(world)}
    assert {name: each["generation"] for name, each in answers.items()} == {
        "m-1": 1, "m-2": 2, "m-3": 3, "m-other": 1,
    }  # fmt: skip
    assert (answers["m-3"]["status"], answers["m-3"]["attempt"]) == ("CANCELLED", 0)
    world.change_nodes("UPDATE nodes SET is_drained = false")
    world.send(message(message_id="m-4", flags=repeated))  # the number was not used up
    world.round()
    taken = node.claim()
    assert taken is not None
    node.finish(taken, generation=3)
    world.round()
    assert popped(world)[0]["generation"] == 3
    world.client.flushall()  # Redis comes back empty: the same answers once more
    world.round()
    assert {each["message_id"]: each for each in popped(world)}["m-3"] == answers["m-3"]


def test_a_cancel_of_what_a_node_has_goes_to_that_node_and_one_that_was_not_claimed_ends_at_once(
    world: World,
) -> None:
    node = world.node("n1")
    world.send(message("runs"))
    world.round()
    taken = node.claim()
    assert taken is not None
    world.client.lpush("experiments:cancel", "runs")
    world.round(2)
    assert node.cancels() == ["runs"]
    node.finish(taken, "CANCELLED")
    world.round()
    assert popped(world)[0]["status"] == "CANCELLED"
    world.send(message("lies there"))  # no id: refused
    world.send(message("lies-there"))
    world.round()
    world.client.lpush("experiments:cancel", "lies-there")
    world.round(2)
    assert [result["status"] for result in popped(world)] == ["REJECTED", "CANCELLED"]
    assert world.client.llen(node.keys.messages) == 0


def test_a_cancel_that_overtakes_its_experiment_waits_for_it(world: World) -> None:
    world.client.lpush("experiments:cancel", "e-1")
    world.client.lpush("experiments", json.dumps(message()))
    world.round()
    assert world.client.lrange("experiments:cancel", 0, -1) == [b"e-1"]
    world.claim()
    world.round()
    assert popped(world)[0]["status"] == "CANCELLED"
    world.client.lpush("experiments:cancel", "nobody")
    world.round()
    assert world.client.llen("experiments:cancel") == 0


def test_a_known_experiment_is_refused_and_another_generation_goes_to_its_node(world: World) -> None:
    node = world.node("n1")
    world.send(message())
    world.round()
    assert node.work()
    world.round()
    assert popped(world)[0]["status"] == "SUCCEEDED"
    world.send(message(message_id="other"))
    world.round()
    assert popped(world)[0]["error"]["code"] == "duplicate"
    again = {**FLAGS, "run": {"allow_duplicate": True}}
    world.node("a-node-that-is-free")
    world.send(message(message_id="third", flags=again))
    world.round(2)
    assert world.rows()[-1]["node"] == "n1"


def test_what_redis_has_lost_of_the_answers_is_delivered_again(world: World) -> None:
    node = world.node("n1")
    world.send(message())
    world.round()
    assert node.work()
    world.round()
    world.client.delete("experiments:results", "experiments:results:sent")  # as if rolled back
    world.round()
    assert [result["message_id"] for result in popped(world)] == ["m-e-1"]
    world.round()
    assert popped(world) == []


def test_without_the_comparison_it_would_be_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "deliver_lost", lambda *_: 0)
    test = test_what_redis_has_lost_of_the_answers_is_delivered_again
    with pytest.raises(AssertionError):
        test(world)


def answered(world: World) -> None:
    node = world.node("n1")
    world.send(message())
    world.round()
    assert node.work()
    world.round()


@pytest.mark.parametrize("lost_first", [False, True])
@pytest.mark.parametrize("executed", [False, True, None])
def test_a_message_and_its_lost_answer_come_back_and_are_answered_once(
    world: World, monkeypatch: pytest.MonkeyPatch, lost_first: bool, executed: bool | None
) -> None:
    """As on a node: Redis was killed and has forgotten the answer, and the claim of the message.

    `executed`: the connection breaks while the answer is put back, behind the push or before it; None: it holds.
    """
    answered(world)
    world.client.delete("experiments:results", "experiments:results:sent")
    deliver = MasterLine.deliver

    def broken(line: MasterLine, *arguments: Any) -> bool:
        if executed:
            deliver(line, *arguments)
        raise QueueUnavailable("the connection broke")

    if not lost_first:
        world.send(message())
    if executed is not None:
        with monkeypatch.context() as breaking:
            breaking.setattr(MasterLine, "deliver", broken)
            with pytest.raises(QueueUnavailable):
                world.round()
        world.dispatcher.reconnected()
    else:
        world.round()
    if lost_first:
        world.send(message())
    for _ in range(3):
        world.round()
        world.dispatcher.reconnected()
    assert [result["message_id"] for result in popped(world)] == ["m-e-1"]
    # A sender who asks again is answered again; noted twice for one loss, the delivery itself counts as that answer.
    world.send(message())
    world.round()
    assert len(popped(world)) == (0 if executed is False else 1)


def test_without_a_note_of_the_loss_they_would_be_answered_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_note_lost", lambda *_, **__: None)
    answered(world)
    world.client.delete("experiments:results", "experiments:results:sent")
    world.send(message())
    world.round(2)
    assert len(popped(world)) == 2


def test_more_lost_answers_than_are_compared_at_once_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "COMPARED", 2)
    for number in range(5):
        world.send({"experiment_id": f"bad-{number}", "message_id": f"bad-{number}", "flags": {"no": {}}})
    world.round()
    assert len(popped(world)) == 5
    world.client.delete("experiments:results", "experiments:results:sent")
    world.dispatcher.reconnected()
    world.round()
    assert len(popped(world)) == 5


def test_a_message_that_redis_has_lost_is_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "UNHEARD_S", 0.0)
    node, job = world.node("n1"), world.job()
    world.round()
    world.client.delete(node.keys.messages)
    world.round()
    assert node.work()
    world.round()
    assert world.row(job)["state"] == "SUCCEEDED"
    assert world.outcomes(job) == [(1, "n1", "SUCCEEDED")]


def test_a_result_from_before_the_node_had_a_master_is_passed_on_once(world: World) -> None:
    node = world.node("n1")
    world.round()
    old = {"experiment_id": "old", "message_id": "from-before"}
    result = node.finish(old)
    world.round()
    assert popped(world) == [result]
    node._deliver(result)  # the node compares, and delivers what its new list has not got
    world.round()
    assert popped(world) == []


def test_two_copies_of_a_result_count_once(world: World) -> None:
    node, job = world.node("n1"), world.job()
    world.round()
    assert node.work()
    raw = world.client.lindex(node.keys.all_results, 0)
    world.round()
    before = world.row(job)
    world.client.lpush(node.keys.all_results, raw)
    world.round()
    assert world.row(job) == before
    assert len([event for event in world.events("job.state") if event["data"]["state"] == "SUCCEEDED"]) == 1


def test_the_queue_paused_gives_out_nothing_and_a_drained_node_gets_nothing(world: World) -> None:
    from proteinx_pipelines.master.database.facts import set_paused
    from proteinx_pipelines.master.nodes import registry

    world.node("n1")
    world.round()
    world.master.database.write(lambda c: set_paused(c, paused=True))
    job = world.job()
    world.round(2)
    assert world.row(job)["state"] == "WAITING"
    world.master.database.write(lambda c: set_paused(c, paused=False))
    world.master.database.write(lambda c: registry.drain(c, "n1", is_drained=True))
    world.round(2)
    assert world.row(job)["state"] == "WAITING"
    world.master.database.write(lambda c: registry.drain(c, "n1", is_drained=False))
    world.round(2)
    assert world.row(job)["state"] == "ASSIGNED"


def test_an_answer_that_cannot_be_put_on_its_list_keeps_no_other_waiting(world: World) -> None:
    world.client.set("experiments:results:to:broken", "a text")
    world.send({**message("one"), "reply_to": "broken", "flags": {}})
    world.send({**message("two"), "flags": {}})
    world.round()
    assert [result["experiment_id"] for result in popped(world)] == ["two"]
    world.client.delete("experiments:results:to:broken")
    world.round()
    assert len(popped(world, "experiments:results:to:broken")) == 1
