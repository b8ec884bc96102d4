"""The Master's readers and nodes under load: events, a log, heartbeats."""

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Awaitable, Callable

import httpx2 as httpx
from dispatch import RunningMaster, beat, beating_nodes
from load import opened, raw
from measure import Figure, Goal, Spread

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S
from proteinx_pipelines.contract.keys import QueueKeys

TELL_EVERY_S = 0.5
_STREAM = {"Accept": "text/event-stream"}
_ACCEPTED_WITHIN_S = 60.0
_SETTLE_S = 30.0


def lag_figures(master: RunningMaster, readers: int, seconds: float, headers: dict[str, str]) -> list[Figure]:
    """From a node's event on its channel to the same event in the stream of each reader (a page)."""
    node = _Node(master, headers)

    async def tell(k: int) -> None:
        await asyncio.to_thread(node.tell, k)

    def number_of(line: bytes) -> int | None:
        progress = json.loads(line)["data"].get("progress")
        return None if progress is None else round(progress * _Node.MOST) - 1

    found = asyncio.run(_measured(master, "/api/events", readers, seconds, headers, tell, number_of))
    return _figures("event", f"a node's event in the pages of {readers} readers", readers, found)


def log_figures(master: RunningMaster, readers: int, seconds: float, headers: dict[str, str]) -> list[Figure]:
    """From the sending of a log line to its arrival at each reader of the same job."""

    def number_of(line: bytes) -> int | None:
        name, _, number = json.loads(line).get("text", "").partition("=")
        return int(number) if name == "k" else None

    with httpx.Client(base_url=master.url, headers=headers, timeout=60) as client:
        run = client.post("/api/runs", json={"name": "logged"}).json()["job_id"]
        path = f"/api/jobs/{run}/logs"

        async def tell(k: int) -> None:
            line = {"lines": [f"k={k}"], "sender": "benchmark", "first": k}
            await asyncio.to_thread(client.post, path, json=line)

        found = asyncio.run(_measured(master, path, readers, seconds, headers, tell, number_of))
    return _figures("log", f"a line of a job's log at its {readers} readers", readers, found)


class _Found:
    """Lags in seconds, how many events were sent, and processor time of the server while they were."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.sent: dict[int, float] = {}
        self.cpu_s = 0.0
        self.opening_cpu_s = 0.0


async def _measured(
    master: RunningMaster,
    path: str,
    readers: int,
    seconds: float,
    headers: dict[str, str],
    tell: Callable[[int], Awaitable[None]],
    number_of: Callable[[bytes], int | None],
) -> _Found:
    found, connected = _Found(), asyncio.Semaphore(0)
    before = master.cpu_s()

    async def read() -> None:
        reader, writer = await opened(master.url)
        writer.write(raw(master.url, {"method": "GET", "path": path}, {**headers, **_STREAM}))
        await reader.readuntil(b"\r\n\r\n")
        connected.release()
        while line := await reader.readline():
            number = number_of(line[5:]) if line.startswith(b"data:") else None
            if number in found.sent:
                found.lags.append(time.perf_counter() - found.sent[number])

    tasks = [asyncio.create_task(read()) for _ in range(readers)]
    for _ in tasks:
        await connected.acquire()
    await asyncio.sleep(1.0)
    found.opening_cpu_s, before = master.cpu_s() - before, master.cpu_s()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        k = len(found.sent)
        found.sent[k] = time.perf_counter()
        await tell(k)
        await asyncio.sleep(TELL_EVERY_S)
    end = time.perf_counter() + _SETTLE_S
    while len(found.lags) < readers * len(found.sent) and time.perf_counter() < end:
        await asyncio.sleep(0.1)
    found.cpu_s = master.cpu_s() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def _figures(name: str, what: str, readers: int, found: _Found) -> list[Figure]:
    """What has not come counts as late: half a minute was waited for it."""
    expected = readers * len(found.sent)
    lags = sorted([*found.lags, *[_SETTLE_S] * (expected - len(found.lags))])
    facts = {
        "median_s": statistics.median(lags), "sent": len(found.sent), "arrived": len(found.lags), "expected": expected,
        "opening_cpu_s": found.opening_cpu_s,
    }  # fmt: skip
    return [
        Figure(f"master.{name}_lag", f"{what}, p95", "s",
               Spread(lags[int(0.95 * (expected - 1))], lags[0], lags[-1], expected),
               goals=(Goal("ours", "<=", 1.0),), facts=facts),
        Figure(f"master.{name}_cpu", f"processor time of the server for one {name} at {readers} readers", "s",
               Spread.of([found.cpu_s / len(found.sent)])),
    ]  # fmt: skip


class _Node:
    """A node that has a job and tells of its progress."""

    MOST = 10_000

    def __init__(self, master: RunningMaster, headers: dict[str, str]) -> None:
        self._redis, self._keys = master.redis, QueueKeys().of_node("telling")
        beat(self._redis, "telling")
        document = {"flags": {"data": {"source": "GB1"}}, "experiment_id": "told"}
        httpx.post(f"{master.url}/api/jobs", json={**document, "priority": 100}, headers=headers)
        end = time.monotonic() + _ACCEPTED_WITHIN_S
        while self._redis.rpop(self._keys.messages) is None:
            if time.monotonic() > end:
                raise RuntimeError("the Master gives the node no job")
            beat(self._redis, "telling")
            time.sleep(0.2)

    def tell(self, k: int) -> None:
        """Publish one event, and keep the node alive."""
        payload = {
            "state": "RUNNING",
            "stage": "train",
            "progress": (k + 1) / self.MOST,
            "generation": 1,
            "attempt": 1,
        }
        event = {"event": "progress", "experiment_id": "told", "timestamp": timestamp(), "payload": payload}
        self._redis.hset(
            self._keys.status("told"), mapping={name: str(value) for name, value in payload.items()}
        )
        self._redis.publish(self._keys.events, json.dumps(event))
        if k % 10 == 0:
            beat(self._redis, "telling")


def heartbeat_figures(
    master: RunningMaster, nodes: int, seconds: float, repeats: int, headers: dict[str, str]
) -> list[Figure]:
    """Processor time for nodes that say that they are alive, over HTTP and over Redis."""
    at_rest = master.cpu_percent(seconds / 2)
    stopping = threading.Event()
    thread = threading.Thread(target=_beat, args=(master.url, nodes, stopping, headers))
    thread.start()
    time.sleep(BEAT_EVERY_S)
    over_http = [master.cpu_percent(seconds / repeats) for _ in range(repeats)]
    stopping.set()
    thread.join()
    with beating_nodes(master, nodes):
        time.sleep(2 * BEAT_EVERY_S)
        over_redis = [master.cpu_percent(seconds / repeats) for _ in range(repeats)]
    return [
        Figure("master.rest", "a Master without nodes, share of a core", "%", Spread.of([at_rest])),
        *(
            Figure(f"master.heartbeats{name}", f"heartbeats of {nodes} nodes over {what}: what they add to that", "%",
                   Spread.of([share - at_rest for share in shares]), goals=(Goal("ours", "<=", 5),))
            for name, what, shares in (("", "HTTP", over_http), ("_redis", "Redis", over_redis))
        ),
    ]  # fmt: skip


def _beat(url: str, nodes: int, stopping: threading.Event, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        k = 0
        while not stopping.wait(BEAT_EVERY_S / nodes):
            document = {
                "node": f"http-{k % nodes}",
                "time": timestamp(),
                "state": "idle",
                "cpu_percent": 20.0,
            }
            client.post("/api/nodes/heartbeat", json={"heartbeat": document})
            k += 1
