"""Claimed messages: one WORKDIR answers each, also with several nodes on a list and with a node that is renamed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import intake as taking
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.queue.claims import MESSAGE_S, OWNER_S, SAME_NAME_S, MessageClaims
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.node.world import FakeRuns

MESSAGE = json.dumps({"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "message_id": "m"}).encode()
MakeNode = Callable[[str, str], Intake]


@pytest.fixture
def make_node(settings: Settings, tmp_path: Path) -> MakeNode:
    """A node of a name on a WORKDIR; the same WORKDIR again is the same node, started again."""

    def make(name: str, workdir: str) -> Intake:
        own = replace(settings, node_name=name, workdir=tmp_path / workdir)
        queue = RedisQueue(connect(own.redis_url or ""), own.queue_name, name)
        return Intake(own, Ledger(own.state_path), queue)

    return make


@pytest.fixture
def server(settings: Settings) -> "redis.Redis":
    return connect(settings.redis_url or "")


def answers(server: "redis.Redis") -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in server.lrange("experiments:results", 0, -1)]


def finish(node: Intake, experiment_id: str = "e") -> None:
    current = node.state.latest(experiment_id)
    assert current is not None
    document = json.dumps({"result_id": f"r-{node.settings.node_name}", "node": node.settings.node_name})
    node.state.finish(current, Outcome("SUCCEEDED"), f"r-{node.settings.node_name}", document)
    deliver_results(node.settings, node.state)


def vanish(server: "redis.Redis", node: Intake) -> None:
    """Ten minutes pass without a sign of life of a node."""
    server.delete(
        f"experiments:owner:{node.state.workdir_id()}", f"experiments:name:{node.settings.node_name}"
    )


# ---------------------------------------------------------------------- two nodes
def send_twice(make_node: MakeNode, raw: bytes = MESSAGE) -> tuple[Intake, Intake]:
    """Two nodes on one list; a message comes to the first, and its re-sent copy to the second."""
    first, second = make_node("n1", "w1"), make_node("n2", "w2")
    for node in (first, second):
        node.queue.enqueue(raw)
        node.take_waiting()
    return first, second


def test_a_re_sent_message_is_answered_by_the_node_that_has_it(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    first, second = send_twice(make_node)
    assert second.state.latest("e") is None
    assert list(second.queue.claimed()) == []
    finish(first)
    assert first.recover() == 1
    assert [answer["node"] for answer in answers(server)] == ["n1", "n1"]


def test_without_the_claim_it_would_run_on_both(make_node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MessageClaims, "claim", lambda _claims, _key: None)
    first, second = send_twice(make_node)
    assert first.state.latest("e") is not None
    assert second.state.latest("e") is not None


@pytest.mark.parametrize("raw", [b"not json", MESSAGE.replace(b"GB1", b"GB1\\n").replace(b'"m"', b'""')])
def test_a_refused_message_is_refused_by_one_node(
    make_node: MakeNode, server: "redis.Redis", raw: bytes
) -> None:
    first, _second = send_twice(make_node, raw)
    first.recover()
    first_answer, again = answers(server)
    assert first_answer == again


def test_a_message_of_a_node_that_is_gone_is_taken_over(make_node: MakeNode, server: "redis.Redis") -> None:
    first, second = make_node("n1", "w1"), make_node("n2", "w2")
    first.queue.enqueue(MESSAGE)
    first.take_waiting()
    vanish(server, first)
    second.queue.enqueue(MESSAGE)
    second.take_waiting()
    assert second.state.latest("e") is not None


def test_what_was_left_to_a_node_that_went_away_is_not_stranded(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    first, second = send_twice(make_node)
    vanish(server, first)
    assert second.recover() == 1
    assert second.state.latest("e") is not None
    assert server.llen(f"experiments:for:{first.state.workdir_id()}") == 0


def test_a_node_whose_history_is_lost_takes_what_comes_again(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    """It has the name of the WORKDIR that has taken the message, and is not that WORKDIR any more."""
    before, after = make_node("n1", "w1"), make_node("n1", "w2")
    for node in (before, after):
        node.queue.enqueue(MESSAGE)
        node.take_waiting()
    assert after.state.latest("e") is None  # the other one may live still
    server.expire(f"experiments:owner:{before.state.workdir_id()}", OWNER_S - SAME_NAME_S - 1)
    after.recover()
    assert after.state.latest("e") is not None


def test_a_claim_ends_by_itself(make_node: MakeNode, server: "redis.Redis") -> None:
    first, _ = send_twice(make_node)
    lives = {key.decode(): server.ttl(key) for key in server.scan_iter("experiments:message:*")}
    assert len(lives) == 1
    assert all(0 < left <= MESSAGE_S for left in lives.values())
    assert 0 < server.ttl(f"experiments:owner:{first.state.workdir_id()}") <= OWNER_S


def test_the_agent_says_that_a_node_works_here_also_before_it_is_ready(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    node = make_node("n1", "w1")
    Agent(node.settings, node.state, FakeRuns())._talk()
    assert server.get(f"experiments:owner:{node.state.workdir_id()}") == b"n1"
    assert not server.exists("nodes/n1/heartbeat")


def test_a_claim_that_is_something_else_keeps_back_its_message_alone(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    node = make_node("n1", "w1")
    server.hset(node.claims._keys.taken("m"), "a", "b")
    node.queue.enqueue(MESSAGE)
    node.queue.enqueue(MESSAGE.replace(b'"m"', b'"other"').replace(b'"e"', b'"other"'))
    node.take_waiting()
    assert (node.state.latest("e"), len(node.queue.claimed())) == (None, 1)
    assert node.state.latest("other") is not None
    server.delete(node.claims._keys.taken("m"))
    node.recover()
    assert node.state.latest("e") is not None


# ---------------------------------------------------------------------- one node, renamed
def test_a_node_that_comes_back_renamed_takes_what_it_had_claimed(
    make_node: MakeNode, server: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken plugin keeps a message claimed; the container returns with a working plugin and another host name."""

    def broken(*_: Any, **__: Any) -> Any:
        raise PluginError("the plugin `lab` cannot be loaded")

    before = make_node("podD", "w")
    before.recover()
    with monkeypatch.context() as patched:
        patched.setattr(taking, "parse_message", broken)
        before.queue.enqueue(MESSAGE)
        before.take_waiting()
    assert server.llen("experiments:processing:podD") == 1
    after = make_node("podE", "w")
    assert after.recover() == 1
    assert after.state.latest("e") is not None
    assert server.keys("experiments:processing:*") == []
    finish(after)
    assert [answer["node"] for answer in answers(server)] == ["podE"]


def test_what_was_decided_under_the_old_name_is_not_decided_again(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    before = make_node("podD", "w")
    before.recover()
    raw = MESSAGE.replace(b'"source": "GB1"}', b'"source": "GB1"}, "run": {"allow_duplicate": true}')
    before.queue.enqueue(raw)
    claimed = before.queue.dequeue(0)
    assert claimed is not None
    before.ingest(claimed)  # and the node dies before it acknowledges
    after = make_node("podE", "w")
    after.recover()
    current = after.state.latest("e")
    assert current is not None
    assert current.generation == 1
    assert list(after.queue.claimed()) == []


def test_the_list_of_a_living_node_that_has_the_old_name_now_is_left_alone(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    mine = make_node("podD", "w1")
    mine.recover()
    vanish(server, mine)
    other = make_node("podD", "w2")
    other.claims.renew()
    server.lpush("experiments:processing:podD", MESSAGE)
    renamed = make_node("podE", "w1")
    renamed.recover()
    assert server.llen("experiments:processing:podD") == 1
    other.recover()
    assert other.state.latest("e") is not None


def test_a_living_node_of_an_earlier_version_keeps_its_list(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    mine = make_node("podD", "w1")
    mine.recover()
    vanish(server, mine)
    server.set("nodes/podD/heartbeat", "{}")
    server.lpush("experiments:processing:podD", MESSAGE)
    make_node("podE", "w1").recover()
    assert server.llen("experiments:processing:podD") == 1


def test_the_old_name_is_known_from_the_results_of_an_earlier_version(
    make_node: MakeNode, server: "redis.Redis"
) -> None:
    before = make_node("podD", "w")
    before.ingest(b"not json")  # its answer names the node; the table of names is empty, as after an update
    after = make_node("podE", "w")
    vanish(server, before)
    server.lpush("experiments:processing:podD", MESSAGE)
    after.recover()
    assert after.state.latest("e") is not None


def test_a_workdir_keeps_its_id(make_node: MakeNode) -> None:
    assert make_node("a", "w").state.workdir_id() == make_node("b", "w").state.workdir_id()
    assert make_node("a", "w").state.workdir_id() != make_node("a", "w2").state.workdir_id()
