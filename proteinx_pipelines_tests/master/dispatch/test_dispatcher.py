"""Dispatch with a real Redis and stand-ins for nodes: late and once."""

import json
import math
from functools import partial

import pytest
from sqlalchemy import event

from proteinx_pipelines.master.dispatch import counting
from proteinx_pipelines_tests.master.dispatch.conftest import World


def test_a_job_goes_to_a_node_and_its_result_comes_back(world: World) -> None:
    node, job = world.node("n1"), world.job("e-1")
    world.round()
    message = node.claim()
    assert message is not None
    assert (message["message_id"], message["experiment_id"]) == (f"{job}/1", "e-1")
    assert world.row(job)["state"] == "ASSIGNED"
    node.tell(message, "progress", state="RUNNING", stage="train", progress=0.6, note="epoch 3", attempt=1)
    world.round()
    row = world.row(job)
    assert [row[name] for name in ("state", "stage", "progress", "note", "node")] == [
        "RUNNING", "train", 0.6, "epoch 3", "n1",
    ]  # fmt: skip
    node.finish(message)
    world.round()
    row = world.row(job)
    assert (row["state"], row["summary"], row["result"]["message_id"]) == (
        "SUCCEEDED",
        {"test/spearman": 0.5},
        f"{job}/1",
    )
    assert row["stage"] == "evaluate", "the result says it, where the status was missed"
    assert world.outcomes(job) == [(1, "n1", "SUCCEEDED")]
    assert world.client.llen(node.keys.all_results) == 0


def test_a_heartbeat_that_says_nothing_new_wakes_nobody(world: World) -> None:
    """It is written down all the same; what a node can do now, and its return, are news."""
    rung: list[None] = []
    world.master.bell.also(lambda: rung.append(None))
    node = world.node("n1")

    def rings() -> int:
        before = len(rung)
        node.beat()
        world.round()
        # The bell of a change rings before the next change is made.
        world.master.database.submit(lambda _connection: False, is_news=bool).result(60)
        return len(rung) - before

    assert rings() == 1  # it joins
    (before,) = world.dispatcher.watch.nodes
    assert [rings(), rings()] == [0, 0]
    (now,) = world.dispatcher.watch.nodes
    assert now.last_seen > before.last_seen
    assert now.can == before.can
    node.labels = ("a100",)
    assert [rings(), rings()] == [1, 0]
    (now,) = world.dispatcher.watch.nodes
    assert now.can is not None
    assert now.can.labels == ("a100",)
    node.die()
    world.round()
    assert world.events("node.lost")
    assert [rings(), rings()] == [1, 0]


@pytest.mark.parametrize(
    ("always", "most", "least"), [(False, 4, 0), (True, 100, 20)], ids=["as it is", "guard off"]
)
def test_jobs_on_nodes_are_read_after_a_commit_and_not_in_every_round(
    world: World, monkeypatch: pytest.MonkeyPatch, always: bool, most: int, least: int
) -> None:
    """Reading them in each of ten to fifty rounds a second was a third of what dispatch did."""
    node = world.node("n1")
    world.job("e-1")
    world.round()
    assert node.claim() is not None
    world.round(2)
    read: list[None] = []
    plain = world.dispatcher._rows
    monkeypatch.setattr(world.dispatcher, "_rows", lambda *where: read.append(None) or plain(*where))
    if always:
        monkeypatch.setattr(world.dispatcher.looks, "is_news", lambda *_: True)
    for _ in range(10):
        world.dispatcher.round()
    assert world.dispatcher.is_busy
    assert least <= len(read) <= most


def test_a_node_has_one_job_and_a_second_only_while_its_jobs_are_short(world: World) -> None:
    node = world.node("n1")
    ids = [world.job() for _ in range(4)]
    world.round(3)
    assert [world.row(job)["state"] for job in ids] == ["ASSIGNED", "WAITING", "WAITING", "WAITING"]
    assert node.work()
    world.round(2)
    assert [world.row(job)["state"] for job in ids] == ["SUCCEEDED", "ASSIGNED", "ASSIGNED", "WAITING"]


def test_a_master_at_rest_reads_the_database_after_a_commit_only(world: World) -> None:
    """It asked eight times a second what nobody had changed: half of the processor time of a Master without work."""
    node = world.node("n1")
    world.round(2)
    world.dispatcher.round()
    world.dispatcher.looks.due = dict.fromkeys(world.dispatcher.looks.due, math.inf)  # no time passes
    told: list[str] = []
    listener = partial(_note_statement, told)
    event.listen(world.master.database.engine, "before_cursor_execute", listener)
    for _ in range(3):
        world.dispatcher.round()
    assert told == []
    job = world.job()
    told.clear()
    world.dispatcher.round()
    assert told
    assert world.row(job)["state"] == "ASSIGNED"
    message = node.claim()
    assert message is not None
    event.remove(world.master.database.engine, "before_cursor_execute", listener)


def _note_statement(
    told: list[str], _connection: object, _cursor: object, statement: str, *_more: object
) -> None:
    told.append(statement)


def late_result(world: World) -> str:
    """A node is given up with a job, another one does it, the first one comes back with its result; the job's id."""
    first, job = world.node("n1"), world.job()
    world.round()
    message = first.claim()
    assert message is not None
    first.die()
    world.round()
    assert world.row(job)["state"] == "ASSIGNED"  # claimed: its own until the lease ends
    world.master.database.write(
        lambda c: c.exec_driver_sql("UPDATE nodes SET lost_at = '2020-01-01T00:00:00.000+00:00'").rowcount
    )
    second = world.node("n2")
    world.round(2)
    assert world.row(job)["node"] == "n2"
    assert first.cancels() == [message["experiment_id"]]
    assert second.work()
    world.round()
    first.beat()
    first.finish(message)
    world.round()
    return job


def test_a_late_result_counts_nothing_and_is_recorded(world: World) -> None:
    job = late_result(world)
    assert world.row(job)["result"]["node"] == "n2"
    assert world.outcomes(job) == [(1, "n1", "late"), (2, "n2", "SUCCEEDED")]
    assert [event["node"] for event in world.events("node.lost")] == ["n1"]
    assert [event["node"] for event in world.events("node.back")] == ["n1"]


def test_without_the_token_the_late_result_would_end_the_job_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "is_current", lambda _row, _token: True)
    assert world.row(late_result(world))["result"]["node"] == "n1"


def test_an_unclaimed_job_of_a_lost_node_goes_elsewhere_at_once(world: World) -> None:
    first, job = world.node("n1"), world.job()
    world.round()
    assert world.client.llen(first.keys.messages) == 1
    first.die()
    world.node("n2")
    world.round(2)
    assert world.row(job)["node"] == "n2"
    assert world.client.llen(first.keys.messages) == 0
    assert world.outcomes(job) == [(1, "n1", "recalled"), (2, "n2", None)]


def test_a_needed_label_that_no_node_has_is_the_reason_in_words(world: World) -> None:
    world.node("n1")
    job = world.job(needs={"labels": ["a100"]})
    world.round()
    assert world.row(job)["reason"] == "needs label a100: no node has it"
    world.node("n2", labels=("a100",))
    world.round(2)
    row = world.row(job)
    assert (row["node"], row["reason"]) == ("n2", None)


def test_a_program_that_knows_only_redis_gets_its_result(world: World) -> None:
    node = world.node("n1")
    world.round()
    message = {"experiment_id": "direct-1", "flags": {"data": {"source": "GB1"}}, "message_id": "mine"}
    world.send(message)
    assert world.client.hget("experiments:status:direct-1", "state") == b"PENDING"
    world.round()
    assert node.work()
    world.round()
    result = json.loads(world.client.rpop("experiments:results"))
    assert (result["message_id"], result["status"], result["node"]) == ("mine", "SUCCEEDED", "n1")
    world.send(message)  # sent again: the same result
    world.round()
    again = json.loads(world.client.rpop("experiments:results"))
    assert again == result
    assert len(node.executed) == 1
