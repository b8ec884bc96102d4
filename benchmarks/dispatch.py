"""The Master's dispatch: what it costs at rest and with 50 nodes, how late its pages are, and what it adds to a job.

Beside the latency of a job through the Master: the same node without one, which takes messages from the queue itself.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import redis
from local_node import LocalNode, clean_environment, flags
from measure import Figure, Goal, Spread, arguments_of, report

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S
from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys

PROGRESS_EVERY_S = 0.3
_ALIVE_FOR_S = 15


def main() -> None:
    options = arguments_of(__doc__, _more)
    figures = []
    with tempfile.TemporaryDirectory() as folder, running_master(Path(folder)) as master:
        figures.append(
            Figure("dispatch.idle", "a Master without nodes, share of a core", "%",
                   Spread.of([master.cpu_percent(options.seconds) for _ in range(options.repeats)]))
        )  # fmt: skip
        with beating_nodes(master, options.nodes):
            time.sleep(BEAT_EVERY_S)
            shares = [master.cpu_percent(options.seconds) for _ in range(options.repeats)]
        figures.append(
            Figure("dispatch.heartbeats", f"heartbeats of {options.nodes} nodes, share of a core", "%",
                   Spread.of(shares), goals=(Goal("ours", "<=", 5),))
        )  # fmt: skip
        figures.append(lag_figure(master, options.events))
        figures.append(added_figure(master, options.messages))
    if options.node:
        figures.append(latency_figure(options.jobs))
    report("dispatch", figures, options.out)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="length of one measurement of processor time"
    )
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--messages", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument(
        "--no-node", dest="node", action="store_false", help="leave out what needs a whole node"
    )


class RunningMaster:
    """A `proteinx master` of its own, with its embedded server."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        own = {"PROTEINX_WORKDIR": str(folder), "PROTEINX_MASTER_PORT": "0", **(environment or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proteinx_pipelines.cli.main", "master"],
            env={**clean_environment(), **own},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        address = folder / "master" / "master.json"
        while not address.is_file():
            if self.process.poll() is not None:
                raise SystemExit("the Master did not start")
            time.sleep(0.05)
        self.url = json.loads(address.read_text(encoding="utf-8"))["url"]
        wire = json.loads((folder / "run" / "redis.json").read_text(encoding="utf-8"))["url"]
        self.redis = redis.Redis.from_url(wire)

    def cpu_s(self) -> float:
        """Processor seconds that the Master's process has used."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def cpu_percent(self, seconds: float) -> float:
        """Processor time of the Master's process over some seconds, in percent of a core."""
        before, began = self.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        return 100 * (self.cpu_s() - before) / (time.perf_counter() - began)


@contextmanager
def running_master(folder: Path, environment: dict[str, str] | None = None) -> Iterator[RunningMaster]:
    master = RunningMaster(folder, environment)
    try:
        yield master
    finally:
        master.process.terminate()
        master.process.wait(timeout=30)


def beat(client: "redis.Redis", name: str) -> None:
    """The keys of one node, as large as those of a real one."""
    common = {"node": name, "time": timestamp(), "cpu_percent": 20.0, "memory_used_bytes": 10**10}
    own = QueueKeys().of_node(name).messages
    heartbeat = {**common, "state": "idle", "queue": own, "experiments": {"SUCCEEDED": 100}}
    embedders = [{"name": f"embedder_{k}", "weights": "none"} for k in range(20)]
    capabilities = {
        "node": name, "time": timestamp(), "models": ["ridge", "mlp"], "metrics": ["spearman", "pearson", "mse", "ndcg",
        "top10_recall"], "embedders": [{"name": "onehot", "weights": "none"}, *embedders], "memory_total_bytes": 10**11,
    }  # fmt: skip
    keys = NodeKeys(name)
    with client.pipeline() as pipe:
        pipe.set(keys.capabilities, json.dumps(capabilities), ex=_ALIVE_FOR_S)
        pipe.set(keys.heartbeat, json.dumps(heartbeat), ex=_ALIVE_FOR_S)
        pipe.set(keys.gpu_usage, json.dumps({**common, "gpus": []}), ex=_ALIVE_FOR_S)
        pipe.execute()


@contextmanager
def beating_nodes(master: RunningMaster, number: int) -> Iterator[None]:
    """Nodes that renew their keys at their own times, and do nothing else."""
    stopping = threading.Event()

    def renew() -> None:
        k = 0
        while not stopping.wait(BEAT_EVERY_S / number):
            beat(master.redis, f"node-{k % number}")
            k += 1

    for k in range(number):
        beat(master.redis, f"node-{k}")
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def lag_figure(master: RunningMaster, events: int) -> Figure:
    """From a node's event on its channel to the same event in a reader's stream."""
    name, keys = "lagging", QueueKeys().of_node("lagging")
    beat(master.redis, name)
    with httpx.Client(base_url=master.url, timeout=30) as http:
        document = {"flags": {"data": {"source": "GB1"}}, "experiment_id": "lag", "needs": {}}
        assert http.post("/api/jobs", json=document).is_success
        message = None
        while message is None:
            beat(master.redis, name)
            message = master.redis.rpoplpush(keys.messages, keys.claimed(name))
            time.sleep(0.1)
        master.redis.delete(keys.claimed(name))
        sent: dict[float, float] = {}
        lags: list[float] = []
        done = threading.Event()

        def read() -> None:
            with http.stream("GET", "/api/events", timeout=60) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:"):
                        progress = json.loads(line[5:]).get("data", json.loads(line[5:])).get("progress")
                        if progress in sent:
                            lags.append(time.perf_counter() - sent.pop(progress))
                    if done.is_set() or len(lags) >= events:
                        return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        time.sleep(1.0)
        for k in range(events):
            progress = round((k + 1) / (events + 1), 6)
            payload = {
                "state": "RUNNING",
                "stage": "train",
                "progress": progress,
                "generation": 1,
                "attempt": 1,
            }
            event = {
                "event": "progress",
                "experiment_id": "lag",
                "timestamp": timestamp(),
                "payload": payload,
            }
            sent[progress] = time.perf_counter()
            master.redis.hset(keys.status("lag"), mapping={n: str(v) for n, v in payload.items()})
            master.redis.publish(keys.events, json.dumps(event))
            if k % 10 == 0:
                beat(master.redis, name)
            time.sleep(PROGRESS_EVERY_S)
        time.sleep(1.0)
        done.set()
    assert lags, "no event arrived"
    p95 = statistics.quantiles(lags, n=20)[-1] if len(lags) > 1 else lags[0]
    spread = Spread(p95, min(lags), max(lags), len(lags))
    return Figure(
        "dispatch.lag_p95", "a node's event in a reader's stream, p95", "s", spread,
        goals=(Goal("ours", "<=", 1.0),), facts={"median_s": statistics.median(lags), "seen": len(lags)},
    )  # fmt: skip


def added_figure(master: RunningMaster, messages: int) -> Figure:
    """What the Master adds: from a push to its result, with a node that answers at once."""
    name, keys, stopping = "quick", QueueKeys().of_node("quick"), threading.Event()

    def answer() -> None:
        while not stopping.is_set():
            beat(master.redis, name)
            raw: Any = master.redis.blmove(keys.messages, keys.claimed(name), 1, "RIGHT", "LEFT")
            if raw is None:
                continue
            message = json.loads(raw)
            master.redis.lrem(keys.claimed(name), 1, raw)
            payload = {"state": "SUCCEEDED", "generation": 1}
            event = {"event": "finished", "experiment_id": message["experiment_id"], "timestamp": timestamp()}
            master.redis.publish(keys.events, json.dumps({**event, "payload": payload}))
            master.redis.lpush(keys.all_results, json.dumps(_result(name, message)))

    node = threading.Thread(target=answer)
    node.start()
    time.sleep(7.0)  # until the Master has found it
    seconds = []
    try:
        for k in range(messages):
            document = {
                "experiment_id": f"quick-{k}",
                "flags": {"data": {"source": "GB1"}},
                "message_id": f"quick-{k}",
            }
            began = time.perf_counter()
            master.redis.lpush("experiments", json.dumps(document))
            assert master.redis.brpop(["experiments:results"], timeout=30), "no result"
            seconds.append(time.perf_counter() - began)
    finally:
        stopping.set()
        node.join()
    return Figure("dispatch.added", "push to result through the Master, with a node that answers at once", "s",
                  Spread.of(seconds))  # fmt: skip


def _result(node: str, message: dict[str, Any]) -> dict[str, Any]:
    now = timestamp()
    return {
        "result_id": f"r-{message['message_id']}", "message_id": message["message_id"],
        "experiment_id": message["experiment_id"], "generation": 1, "attempt": 1, "status": "SUCCEEDED", "summary": {},
        "artifacts": {"directory": None, "files": []}, "stages": {}, "error": None, "trace": None, "started_at": now,
        "finished_at": now, "node": node, "schema_version": 1,
    }  # fmt: skip


def latency_figure(jobs: int) -> Figure:
    """From the push of a small experiment to its result, one after another."""
    seconds = {name: _latencies(option, jobs) for name, option in _SIDES.items()}
    return Figure(
        "dispatch.push_to_result", "push of a small experiment to its result, through the Master", "s",
        Spread.of(seconds["master"]), Spread.of(seconds["alone"]), "the node alone",
    )  # fmt: skip


_SIDES = {"master": "--with-master", "alone": "--node-only"}


def _latencies(option: str, jobs: int) -> list[float]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        node = LocalNode(Path(folder) / "workdir", option, "--no-web")
        try:
            for k in range(jobs + 2):
                began = time.perf_counter()
                node.push(f"latency-{k}", flags(k))
                result: dict[str, Any] = node.pop()
                assert result["status"] == "SUCCEEDED", result
                if k >= 2:  # the first ones load what all others use
                    found.append(time.perf_counter() - began)
        finally:
            node.stop()
    return found


if __name__ == "__main__":
    main()
