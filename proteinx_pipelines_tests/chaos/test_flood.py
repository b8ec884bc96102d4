"""Many messages at once, a server without room, cancels without a target: excess messages wait, nothing is lost."""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
import redis

from proteinx_pipelines.contract.heartbeat import GpuUsage, Heartbeat
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.stopper import Stopper
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.chaos.trials import how_often

pytestmark = pytest.mark.slow
FLOOD = how_often(3_000, 100_000)
OPEN = how_often(100, 1_000)
"""Most messages that the node takes in; 1,000 as shipped."""
LEAST_GROWTH_BYTES = 50 * 2**20


@pytest.fixture
def dispatch(intake: Intake) -> Iterator[Dispatch]:
    intake = replace(intake, settings=replace(intake.settings, take_ahead=OPEN))
    for folder in (intake.settings.experiments_dir, intake.settings.run_dir):
        folder.mkdir(parents=True)
    lock = ProcessLock(intake.settings.run_dir / "intake.lock", "The intake")
    yield Dispatch(intake.settings, intake.state, intake, lock)
    lock.release()
    master_queue.cache_clear()


def push(client: redis.Redis, first: int, count: int) -> None:
    """`count` good messages of about a kilobyte."""
    with client.pipeline(transaction=False) as pipe:
        for number in range(first, first + count):
            flags = {"data": {"source": "GB1"}, "ext": {"note": "x" * 900}}
            pipe.lpush("experiments", json.dumps({"experiment_id": f"e{number}", "flags": flags}))
        pipe.execute()


def ticks(dispatch: Dispatch, count: int) -> float:
    """The median time of a round of the sensor, in seconds."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        dispatch.wait_for_work(0.0)
        took.append(time.monotonic() - began)
    return statistics.median(took)


def test_a_flood_stays_in_redis_and_neither_rounds_nor_memory_grow(dispatch: Dispatch) -> None:
    client = connect(dispatch.settings.redis_url or "")
    push(client, 0, OPEN)
    while client.llen("experiments"):
        dispatch.wait_for_work(0.0)
    before = ticks(dispatch, 5)
    process = psutil.Process()
    memory = process.memory_info().rss
    for first in range(OPEN, FLOOD, 1_000):
        push(client, first, min(1_000, FLOOD - first))
    during = ticks(dispatch, 5)
    assert dispatch.state.counts() == {"PENDING": OPEN}
    assert client.llen("experiments") == FLOOD - OPEN, "the rest waits in Redis"
    assert client.llen("experiments:processing:test-node") == 0
    assert during < 2 * before + 0.25, f"{during:.3f} s a round, {before:.3f} s before the flood"
    assert process.memory_info().rss - memory < LEAST_GROWTH_BYTES
    for current in dispatch.state.in_state("PENDING", limit=10):
        dispatch.state.finish(current, Outcome("CANCELLED", "cancelled", "x"), current.run_key, "{}")
    dispatch.wait_for_work(0.0)
    assert client.llen("experiments") == FLOOD - OPEN - 10, "what ends makes room for as many"


def test_without_the_limit_the_whole_flood_would_be_taken(
    dispatch: Dispatch,
) -> None:
    intake = replace(dispatch.intake, settings=replace(dispatch.settings, take_ahead=10**9))
    client = connect(dispatch.settings.redis_url or "")
    push(client, 0, 2 * OPEN)
    while intake.take_waiting():
        pass
    assert (client.llen("experiments"), dispatch.state.counts()) == (0, {"PENDING": 2 * OPEN})


def test_a_server_without_room_stops_the_intake_and_loses_nothing(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    push(client, 0, 5)
    client.rpush("experiments", b"not json")  # taken first, refused
    assert intake.wait(0.1)
    push(client, 5, 5)
    beat = Heartbeat(node="n", time="t", state="idle"), GpuUsage(node="n", time="t")
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable, match="maxmemory"):
            intake.take_waiting()
        assert client.llen("experiments") + client.llen("experiments:processing:test-node") == 10
        with pytest.raises(QueueUnavailable, match="maxmemory"):
            master_line(intake.settings).beat(
                *beat
            )  # no heartbeat: the Master sees that the node cannot work
        current = intake.state.latest("e0")
        assert current is None
    finally:
        client.config_set("maxmemory", "0")
    intake.recover()
    while intake.take_waiting():
        pass
    deliver_results(intake.settings, intake.state)
    assert intake.state.counts() == {"PENDING": 10}
    assert client.llen("experiments:results") == 1


NONSENSE = (
    b"", b" ", b"\n", b"\0", b"\xff\xfe", b"../../x", b"/etc/passwd", b"con", b"x" * 2**20, b"[" * 10**6, b"{}",
    b"null", b"NaN",
    b'{"experiment_id": "good"}', b"*", b"good; rm -rf /", b"good\0", b"\xed\xa0\x80", "e\u0301".encode(),
    b"%2e%2e%2f", b"a..b",
    b"\x1b[2J", b"' OR 1=1 --", b"-1", b"\x80\x04\x95",
)  # fmt: skip
"""Values on the list of cancels."""


def test_cancels_of_nonsense_are_dropped_and_the_one_behind_them_counts(dispatch: Dispatch) -> None:
    client = connect(dispatch.settings.redis_url or "")
    client.lpush("experiments", json.dumps({"experiment_id": "good", "flags": {"data": {"source": "GB1"}}}))
    dispatch.wait_for_work(0.0)
    client.lpush("experiments:cancel", *NONSENSE, b"good")
    Stopper(dispatch.settings, dispatch.state, None).take_cancels()
    assert client.llen("experiments:cancel") == 0
    current = dispatch.state.latest("good")
    assert current is not None
    assert current.cancel_requested


def test_cancels_that_wait_for_their_experiments_do_not_hide_the_one_behind_them(dispatch: Dispatch) -> None:
    """While messages waited, the hundred oldest cancels were looked at again and again, and no other."""
    client = connect(dispatch.settings.redis_url or "")
    push(client, 0, OPEN + 1)
    dispatch.intake.take_waiting()
    client.lpush("experiments:cancel", *(f"to-come-{number}" for number in range(250)), "e0")
    stopper = Stopper(dispatch.settings, dispatch.state, None)
    for _ in range(3):
        stopper.take_cancels()
    current = dispatch.state.latest("e0")
    assert current is not None
    assert current.cancel_requested
    assert client.llen("experiments:cancel") == 250, "the others still wait for their experiments"
