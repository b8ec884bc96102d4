"""Redis restarted, rolled back and away, on real servers: nothing lost, nothing doubled.

The strong form is `make chaos SCENARIO=redis`: 10 restarts, 3 roll-backs, FLUSHALL, 80 kills of all clients and an
outage of 60 s.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking import outbox
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.node.talking.outbox import deliver_lost, deliver_results
from proteinx_pipelines.node.talking.still_claimed import StillClaimed
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.chaos.campaign import HERE, environment
from proteinx_pipelines_tests.chaos.redis_campaign import RedisCampaign, redis_node
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed, waits_in_vain
from proteinx_pipelines_tests.story.conftest import DEMO

GOOD = json.dumps({"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "message_id": "m0"}).encode()
UNREAD = 100
"""Results that pile up on a list that nobody reads."""


# ---------------------------------------------------------------------- a node's two ends, on a server
@pytest.fixture
def intake(server: RedisServer, tmp_path: Path) -> Iterator[Intake]:
    names = {"REDIS_URL": server.url, "PROTEINX_WORKDIR": str(tmp_path / "w"), "PROTEINX_NODE_NAME": "n"}
    settings = load_settings(names, tmp_path)
    master_line.cache_clear()
    queue = RedisQueue(connect(server.url), settings.queue_name, settings.node_name)
    yield Intake(settings, Ledger(settings.state_path), queue)
    master_line.cache_clear()


def copies(server: RedisServer) -> Counter[str]:
    """Number of answers on the list for each message."""
    return Counter(
        json.loads(raw)["message_id"] for raw in server.client.lrange("experiments:results", 0, -1)
    )


def bad(k: int) -> bytes:
    """A message that is answered at once: it is refused."""
    return json.dumps({"experiment_id": "e", "flags": {}, "message_id": f"m{k}"}).encode()


def pile_up(intake: Intake, server: RedisServer, folder: Path) -> None:
    """100 answers of which nobody reads one, with Redis away before, killed in between, and rolled back by 40."""
    for k in range(UNREAD):
        if k == 30:
            server.kill()  # what follows is decided while Redis is away: it had said before that they are this node's
        if k == 50:
            server.start()
        if k == 60:
            server.snapshot(folder / "older")
        with pytest.MonkeyPatch.context() as answered:
            if 30 <= k < 50:
                answered.setattr(intake.claims, "claim", lambda _key: None)
            intake.ingest(bad(k))
        deliver_results(intake.settings, intake.state)
        if k % 25 == 24 and not 30 <= k < 50:
            server.kill()
            server.start()
    server.roll_back(folder / "older")
    deliver_lost(intake.settings, intake.state)
    deliver_results(intake.settings, intake.state)


@pytest.mark.slow
def test_100_results_that_nobody_reads_are_on_the_list_once_each(
    intake: Intake, server: RedisServer, tmp_path: Path
) -> None:
    pile_up(intake, server, tmp_path)
    assert copies(server) == Counter({f"m{k}": 1 for k in range(UNREAD)})
    order = [
        json.loads(raw)["message_id"] for raw in reversed(server.client.lrange("experiments:results", 0, -1))
    ]
    assert order == [f"m{k}" for k in range(UNREAD)]


@pytest.mark.slow
def test_without_the_comparison_those_after_the_snapshot_would_be_lost(
    intake: Intake, server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_deliver_lost", lambda *_: 0)
    pile_up(intake, server, tmp_path)
    assert sorted(copies(server)) == sorted(f"m{k}" for k in range(60))


@pytest.mark.slow
def test_a_message_that_redis_cannot_give_to_this_node_is_not_decided(
    intake: Intake, server: RedisServer
) -> None:
    """Another node may have taken it: it stays claimed, and is looked at again when Redis is back."""
    server.kill()
    with pytest.raises(QueueUnavailable):
        intake.ingest(bad(0))
    server.start()
    deliver_results(intake.settings, intake.state)
    assert copies(server) == Counter()
    intake.ingest(bad(0))
    deliver_results(intake.settings, intake.state)
    assert copies(server) == Counter({"m0": 1})


def bring_back_a_decided_claim(
    intake: Intake, server: RedisServer, folder: Path, raw: bytes, *, agent_first: bool = True
) -> None:
    """A snapshot between the decision about a message and its acknowledgement, restored after both.

    Redis is killed before the acknowledgement; what was accepted ends meanwhile. When Redis is back, the agent comes
    before the intake.
    """
    claimed = "experiments:processing:n"
    intake.queue.enqueue(raw)
    assert intake.queue.dequeue(0) == raw
    intake.ingest(raw)
    server.kill()
    if (current := intake.state.latest("e")) is not None:
        payload = json.dumps({"result_id": "r", "message_id": "m0"})
        assert intake.state.finish(current, Outcome("SUCCEEDED"), "r", payload)
    server.start()
    deliver_results(intake.settings, intake.state)
    assert server.client.lrange(claimed, 0, -1) == [raw]
    server.snapshot(folder / "older")
    intake.recover()
    assert (server.client.llen(claimed), copies(server)) == (0, Counter({"m0": 1}))
    server.roll_back(folder / "older")
    assert server.client.lrange(claimed, 0, -1) == [raw]
    if agent_first:
        deliver_lost(intake.settings, intake.state)
    intake.recover()
    deliver_lost(intake.settings, intake.state)
    deliver_results(intake.settings, intake.state)
    assert server.client.llen(claimed) == 0


@pytest.mark.slow
@pytest.mark.parametrize("raw", [bad(0), GOOD])
@pytest.mark.parametrize("agent_first", [False, True])
def test_a_decided_message_that_is_claimed_again_is_answered_once(
    intake: Intake, server: RedisServer, tmp_path: Path, agent_first: bool, raw: bytes
) -> None:
    bring_back_a_decided_claim(intake, server, tmp_path, raw, agent_first=agent_first)
    assert copies(server) == Counter({"m0": 1})


@pytest.mark.slow
@pytest.mark.parametrize("raw", [bad(0), GOOD])
def test_a_result_beside_the_claim_of_its_message_would_be_there_twice(
    intake: Intake, server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.setattr(StillClaimed, "keeps_back", lambda *_: False)
    bring_back_a_decided_claim(intake, server, tmp_path, raw)
    assert copies(server) == Counter({"m0": 2})


@pytest.mark.slow
def test_a_message_that_is_sent_again_after_that_is_answered_again(
    intake: Intake, server: RedisServer, tmp_path: Path
) -> None:
    """Also one that was claimed and not decided when its process ended: each copy that the Master sends counts."""
    bring_back_a_decided_claim(intake, server, tmp_path, bad(0))
    intake.queue.enqueue(bad(0))
    intake.take_waiting()
    assert copies(server) == Counter({"m0": 2})
    intake.recover()
    intake.queue.enqueue(bad(0))
    assert intake.queue.dequeue(0) == bad(0)
    intake.recover()
    assert copies(server) == Counter({"m0": 3})


@pytest.mark.slow
@pytest.mark.parametrize("is_lost", [False, True])
def test_the_same_bytes_sent_again_at_once_are_answered_although_their_process_dies(
    intake: Intake, server: RedisServer, is_lost: bool
) -> None:
    """It dies right behind the claim, or the reply to the claim is lost and it goes on."""
    intake.queue.enqueue(bad(0))
    assert intake.take_waiting() == 1
    intake.queue.enqueue(bad(0))
    assert server.client.lmove("experiments", "experiments:processing:n", "RIGHT", "LEFT") == bad(0)
    if is_lost:
        intake.recover()
    else:
        Intake(intake.settings, Ledger(intake.settings.state_path), intake.queue).recover()
    assert copies(server) == Counter({"m0": 2})
    assert server.client.llen("experiments:processing:n") == 0


@pytest.mark.slow
def test_a_copy_sent_again_that_lies_beside_the_claim_is_answered_too(
    intake: Intake, server: RedisServer, tmp_path: Path
) -> None:
    """The snapshot has both: the claimed copy, which is decided, and one that nobody has taken."""
    intake.queue.enqueue(bad(0))
    raw = intake.queue.dequeue(0)
    assert raw is not None
    intake.ingest(raw)
    server.kill()
    server.start()
    intake.queue.enqueue(raw)
    deliver_results(intake.settings, intake.state)
    server.snapshot(tmp_path / "older")
    for back in (False, True):
        if back:
            server.roll_back(tmp_path / "older")
            assert copies(server) == Counter()
        intake.recover()
        intake.take_waiting()
        deliver_lost(intake.settings, intake.state)
        assert copies(server) == Counter({"m0": 2})
        intake.recover()  # the next look, five seconds later


@pytest.mark.slow
def test_a_server_that_comes_back_empty_gets_what_nobody_has_read(
    intake: Intake, server: RedisServer
) -> None:
    """One without an append-only file, or a new one at the same address."""
    for k in range(10):
        intake.ingest(bad(k))
    deliver_results(intake.settings, intake.state)
    server.kill()
    shutil.rmtree(server.folder)
    server.start()
    assert copies(server) == Counter()
    deliver_lost(intake.settings, intake.state)
    assert copies(server) == Counter({f"m{k}": 1 for k in range(10)})


# ---------------------------------------------------------------------- a whole node
def campaign(
    folder: Path, server: RedisServer, more: dict[str, str], within_s: float, **numbers: Any
) -> list[str]:
    workdir = folder / "w"
    workdir.mkdir()
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    node = redis_node(workdir, server, {**environment(workdir), **more})
    node.start()
    try:
        seed = printed_seed("Redis")
        problems = RedisCampaign(node=node, server=server, seed=seed, **numbers).run(within_s)
    finally:
        node.stop()
    assert server.client.exists("nodes/redis-chaos/heartbeat") == 0, "a clean stop takes the heartbeat away"
    return problems


@pytest.mark.story
@pytest.mark.timeout(3900)
def test_restarts_roll_backs_and_an_outage_lose_nothing_and_double_nothing(
    tmp_path: Path, server: RedisServer
) -> None:
    numbers = {
        "restarts": how_often(3, 10),
        "roll_backs": how_often(1, 3),
        "flushes": how_often(0, 1),
        "client_kills": how_often(0, 80),
        "outage_s": float(how_often(25, 60)),  # behind the 20 s after which Celery gives up by itself
    }
    assert campaign(tmp_path, server, {}, how_often(600, 1200), messages=how_often(1, 7), **numbers) == []


@waits_in_vain
@pytest.mark.story
def test_without_the_comparison_a_roll_back_would_lose_results(tmp_path: Path, server: RedisServer) -> None:
    paths = os.pathsep.join([str(HERE / "early"), environment(tmp_path)["PYTHONPATH"]])
    more = {"PYTHONPATH": paths, "CHAOS_EARLY": "unguarded_delivery"}
    problems = campaign(tmp_path, server, more, 30.0, messages=1, restarts=0, roll_backs=1, outage_s=0.0)
    assert any("None, expected" in problem for problem in problems), problems
