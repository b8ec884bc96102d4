"""Messages under random kills: the messages sent, the processes killed, and the conditions at the end."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.story.conftest import DEMO, Node, family_of

HERE = Path(__file__).parent
SOURCE = "GB1_Nisthal_2019"
PARTS = ("redis", "master", "code-server", "daemon", "host", "worker", "step process", "agent", "fork-server")
"""Processes that may be killed at any moment. The supervisor has a fault of its own, `up`."""
FAULTS = ("kill", "two", "stop", "up", "run")
"""Kinds of faults: one part killed; two killed at once; one stopped for some seconds; `proteinx up` killed and started
again; `run/` removed."""
LONGEST_STOP_S = 8.0
PATIENCE_S = 60.0
"""Seconds after which a fault comes though nothing has ended since the last one. Without this rule a machine that does
something else as well loses the same attempt ten times, which a node gives up rightly."""
OPEN_GENERATIONS = (
    "SELECT experiment_id, state FROM generations WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')"
)
OPEN_RUNS = "SELECT run_id, status FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"


def environment(folder: Path) -> dict[str, str]:
    """Environment of a node under test: the journal, as a plugin."""
    return {
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PROTEINX_PLUGINS": "chaos_journal",
        "CHAOS_JOURNAL": str(folder / "journal.jsonl"),
        "OMP_NUM_THREADS": "1",
    }


def campaign_node(folder: Path, **more: str) -> Node:
    """A node with the demo's GB1 and the journal, not started."""
    import_file(folder / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    return Node(folder, {**environment(folder), **more})


def experiment(k: int) -> tuple[dict[str, Any], str]:
    """Flags of message `k`, and how it has to end: quick ones of each kind, no two with the same stages."""
    common = {
        "data": {"source": SOURCE, "limit": 300 + k},
        "split": {"seed": k},
        "evaluate": {"bootstrap": 10},
    }
    if k % 5 == 3:
        return {**common, "data": {"source": SOURCE, "dms_score": {"min": 1e6 + k}}}, "FAILED"
    if k % 5 == 4:
        return {**common, "model": {"name": "mlp"}, "train": {"max_epochs": 40, "patience": 40}}, "SUCCEEDED"
    return {**common, "model": {"name": "ridge"}}, "SUCCEEDED"


@dataclass
class Campaign:
    """One campaign against one node."""

    node: Node
    messages: int
    every_s: float
    seed: int
    say: Callable[[str], None] = print
    most_kills: int | None = None
    faults: Sequence[str] = ("kill",)
    """The kinds of faults, one drawn each time."""
    kills: Counter[str] = field(default_factory=Counter)
    _stopped: dict[psutil.Process, float] = field(default_factory=dict)
    """Stopped process -> time (monotonic) at which it continues."""

    def run(self, within_s: float) -> list[str]:
        """Send, kill, wait; everything that is wrong at the end, in words."""
        chance, expected = random.Random(self.seed), {}
        self.say(f"seed {self.seed}: {self.messages} messages, a kill about every {self.every_s:g} s")
        began, kill_at, k = time.monotonic(), time.monotonic() + self.every_s, 0
        ended_before, patience_at = -1, 0.0
        while time.monotonic() - began < within_s:
            if k < self.messages and chance.random() < 0.5:
                flags, expected[f"chaos-{k:04d}"] = experiment(k)
                self._push(f"chaos-{k:04d}", flags)
                k += 1
            ended = len({result["experiment_id"] for result in self._results()})
            goes_on = ended > ended_before or time.monotonic() > patience_at
            if (
                time.monotonic() > kill_at
                and goes_on
                and (self.most_kills is None or self.kills.total() < self.most_kills)
            ):
                self._strike(chance)
                kill_at = time.monotonic() + chance.uniform(0.5, 1.5) * self.every_s
                ended_before, patience_at = ended, time.monotonic() + PATIENCE_S
            self._continue()
            if k == self.messages == ended and not self._stopped:
                break
            time.sleep(0.2)
        time.sleep(5.0)  # a second copy of something would come now
        self.say(f"{time.monotonic() - began:.0f} s, kills: {dict(self.kills)}")
        return self._problems(expected)

    def _push(self, experiment_id: str, flags: Mapping[str, Any]) -> None:
        """Push once, as a careful Master does: whether a push without a reply has arrived is asked, not guessed."""
        message = json.dumps({"experiment_id": experiment_id, "flags": flags, "message_id": experiment_id})
        while True:
            try:
                client, marker = self.node.redis, f"pushed:{experiment_id}"
                if not client.exists(marker):
                    client.pipeline().set(marker, 1).lpush("experiments", message).execute()
                return
            except (redis.RedisError, OSError, ValueError):  # `run/redis.json` may be gone for a moment
                time.sleep(0.2)

    def _results(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(raw) for raw in self.node.redis.lrange("experiments:results", 0, -1)]
        except (redis.RedisError, OSError, ValueError):
            return []

    # ------------------------------------------------------------------ faults
    def _strike(self, chance: random.Random) -> None:
        fault = chance.choice(self.faults)
        if fault == "up":
            self._kill_up()
        elif fault == "run":
            self._remove_run()
        elif fault == "stop":
            self._stop(chance.choice(PARTS), chance.uniform(0.5, LONGEST_STOP_S))
        else:
            self._kill(*chance.sample(PARTS, 2 if fault == "two" else 1))

    def _kill(self, *parts: str) -> None:
        """All of them at the same moment: the signals go out before the supervisor can notice the first death."""
        found = {part: process for part in parts if (process := part_process(self.node, part)) is not None}
        for part, process in found.items():
            self.kills[part] += 1
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)

    def _stop(self, part: str, seconds: float) -> None:
        process = part_process(self.node, part)
        if process is not None and process not in self._stopped:
            self.kills[f"{part} stopped"] += 1
            process.suspend()
            self._stopped[process] = time.monotonic() + seconds

    def _continue(self) -> None:
        """Continue what has been stopped for long enough."""
        for process in [found for found, at in self._stopped.items() if time.monotonic() > at]:
            with contextlib.suppress(psutil.Error):
                process.resume()
            del self._stopped[process]

    def _kill_up(self) -> None:
        """Kill the supervisor; its parts must die with it, and the next one must start."""
        assert self.node.process is not None
        self.kills["up"] += 1
        family = family_of(self.node.process.pid)
        self.node.process.kill()
        self.node.process.wait()
        _gone, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"outlived the supervisor: {alive}"
        self._stopped.clear()
        self.node.log.write_text("", encoding="utf-8")
        self.node.start()

    def _remove_run(self) -> None:
        """In one step: the node, which writes into the folder all the time, could put a file into it between two."""
        self.kills["run/ removed"] += 1
        with contextlib.suppress(OSError):
            shutil.rmtree((self.node.workdir / "run").rename(self.node.workdir / "removed"))

    # ------------------------------------------------------------------ the end

    def _problems(self, expected: Mapping[str, str]) -> list[str]:
        results = self._results()
        found = {result["experiment_id"]: result["status"] for result in results}
        wrong = {name: status for name, status in expected.items() if found.get(name) != status}
        problems = [f"{name}: {found.get(name)}, expected {status}" for name, status in wrong.items()]
        # By experiment: each has one generation, so that a second result is one too many under any `result_id`.
        copies = Counter(result["experiment_id"] for result in results)
        problems += [f"{name} has {count} results" for name, count in copies.items() if count != 1]
        problems += [f"unknown experiment {name}" for name in found.keys() - expected.keys()]
        problems += [f"overlap: {fact}" for fact in journal(self.node) if fact["event"] == "overlap"]
        problems += [f"left open: {row}" for row in rows(self.node, "state.db", OPEN_GENERATIONS)]
        problems += [f"run left open: {row}" for row in rows(self.node, "dagster_home/runs.db", OPEN_RUNS)]
        client = self.node.redis
        claimed = [key for key in client.keys("experiments:processing:*") if client.llen(key)]
        problems += [f"claimed and not decided: {key!r}" for key in claimed]
        return problems + ["nobody was killed"] * (self.most_kills != 0 and not self.kills)


def part_process(node: Node, part: str) -> psutil.Process | None:
    """The living process of a part of the node, or None."""
    assert node.process is not None
    try:
        if part == "step process":
            worker = part_process(node, "worker")
            children = worker.children() if worker is not None else []
            return children[0] if children else None
        for process in psutil.Process(node.process.pid).children():
            command = process.cmdline()
            if command and (command[-1] == part or (part == "redis" and "valkey" in command[0])):
                return process
    except psutil.Error:
        return None
    return None


def journal(node: Node) -> list[dict[str, Any]]:
    """Every fact in the journal."""
    path = Path(node.environment["CHAOS_JOURNAL"])
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )


def rows(node: Node, database: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of one of the node's databases."""
    with closing(sqlite3.connect(node.workdir / database, timeout=30)) as connection:
        return list(connection.execute(query))
