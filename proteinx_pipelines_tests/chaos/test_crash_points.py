"""A process that dies at each named point between a message and its result: the next one brings it to one right end."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines_tests.chaos.crash import POINTS, UNGUARDED, live, settings_of
from proteinx_pipelines_tests.chaos.trials import how_often

pytestmark = pytest.mark.slow
ENDS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 128 + signal.SIGTERM}
CRASH = Path(__file__).with_name("crash.py")
DEATHS = [
    *((point, "SIGKILL") for point in POINTS),
    *((point, "SIGTERM") for point in list(POINTS)[:: 4 // how_often(1, 4)]),
]
"""With CHAOS_FULL every point with both signals; else SIGTERM at every fourth."""
MESSAGE = json.dumps({"experiment_id": "e", "flags": {"data": {"source": "GB1"}}}).encode()

REFUSED = json.dumps({"experiment_id": "e", "flags": {}}).encode()
ANSWERED_AT_ONCE = {
    "after the claim", "inside the transaction", "after the commit", "after the acknowledgement",
    "after the note is forgotten", "before the push", "after the push", "after the delivery is noted",
}  # fmt: skip
"""Points that a refused message passes."""


@pytest.fixture(autouse=True)
def _new_connections() -> Iterator[None]:
    yield
    master_line.cache_clear()
    master_queue.cache_clear()


def die(workdir: Path, redis_url: str, point: str, how: str = "SIGKILL", *guards: str) -> None:
    """One life that ends at a point, without some guards."""
    command = [sys.executable, str(CRASH), str(workdir), redis_url, point, how, *guards]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == ENDS[how], ended.stderr or "the process did not come to this point"


def results(redis_url: str) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in connect(redis_url).lrange("experiments:results", 0, -1)]


@pytest.mark.parametrize(("point", "how"), DEATHS)
def test_a_death_at_any_point_loses_nothing_and_doubles_nothing(
    tmp_path: Path, redis_url: str, point: str, how: str
) -> None:
    connect(redis_url).flushdb()
    connect(redis_url).lpush("experiments", MESSAGE)
    die(tmp_path, redis_url, point, how)
    live(settings_of(tmp_path, redis_url))
    (result,) = results(redis_url)
    assert (result["experiment_id"], result["generation"], result["status"]) == ("e", 1, "SUCCEEDED")
    current = Ledger(tmp_path / "state.db").latest("e")
    assert current is not None
    assert (current.state, current.failures) == ("SUCCEEDED", 0)
    assert connect(redis_url).llen("experiments:processing:crash") == 0
    report = json.loads(
        (tmp_path / "experiments" / "e" / "artifacts" / "report.json").read_text(encoding="utf-8")
    )
    split = json.loads(
        (tmp_path / "experiments" / "e" / "splits" / "assignment.json").read_text(encoding="utf-8")
    )
    assert report["attempt"] == split["attempt"] == current.attempt


@pytest.mark.parametrize(
    ("guard", "point", "copies"),
    [
        ("claims", "after the claim", 0),
        ("one transaction", "between state and result", 0),
        ("markers", "after the push", 2),
    ],
)
def test_without_its_guard_a_death_loses_or_doubles(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, guard: str, point: str, copies: int
) -> None:
    for owner, name in ((RedisQueue, "dequeue"), (MasterLine, "deliver"), (Ledger, "finish")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back behind this test
    connect(redis_url).flushdb()
    connect(redis_url).lpush("experiments", MESSAGE)
    die(tmp_path, redis_url, point, "SIGKILL", guard)
    UNGUARDED[guard]()
    live(settings_of(tmp_path, redis_url))
    assert len(results(redis_url)) == copies


@pytest.mark.parametrize("sent", [(2, 1), (1, 1), (2, 0), (1, 2)][: how_often(1, 4)])
@pytest.mark.parametrize("point", [point for point in POINTS if point in ANSWERED_AT_ONCE])
def test_the_same_bytes_sent_again_around_a_death_are_answered_as_often(
    tmp_path: Path, redis_url: str, point: str, sent: tuple[int, int]
) -> None:
    """Copies sent before a death, and before a second one right behind the next claim."""
    client = connect(redis_url)
    client.flushdb()
    for _ in range(sent[0]):
        client.lpush("experiments", REFUSED)
    die(tmp_path, redis_url, point)
    for _ in range(sent[1]):
        client.lpush("experiments", REFUSED)
    if client.llen("experiments"):
        die(tmp_path, redis_url, "after the claim")
    live(settings_of(tmp_path, redis_url))
    assert len(results(redis_url)) == sum(sent)
    assert client.llen("experiments:processing:crash") == 0
    assert Ledger(tmp_path / "state.db").decided_copies() == {}


def test_a_redis_that_comes_back_with_an_older_state_doubles_nothing(tmp_path: Path, redis_url: str) -> None:
    """A snapshot from before the message was taken: it is on the list again, and the experiment has its result."""
    client = connect(redis_url)
    client.flushdb()
    client.lpush("experiments", MESSAGE)
    live(settings_of(tmp_path, redis_url))
    (first,) = results(redis_url)
    client.flushdb()
    client.lpush("experiments", MESSAGE)
    live(settings_of(tmp_path, redis_url))
    assert [result["result_id"] for result in results(redis_url)] == [first["result_id"]]
    current = Ledger(tmp_path / "state.db").latest("e")
    assert current is not None
    assert (current.generation, current.attempt) == (1, 1)
