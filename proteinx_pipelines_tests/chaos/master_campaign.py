"""A real Master and real nodes under SIGKILL while people change the line: jobs, kills, verbs, what must hold."""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines_tests.chaos.campaign import PARTS, experiment, part_process
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.story.conftest import DEMO, Node, family_of, kill_all

LEASE_S = 30
"""Lease of the campaign, in seconds: a node that is started again within it keeps its jobs."""
MASTER = ("-m", "proteinx_pipelines.cli.main", "master")


class MasterProcess:
    """A Master that can be killed and started again at the same address."""

    def __init__(self, folder: Path, server: RedisServer, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **environment, "REDIS_URL": server.url, "PROTEINX_WORKDIR": str(folder),
            "PROTEINX_MASTER_PORT": str(port), "PROTEINX_MASTER_LEASE_S": str(LEASE_S),
            "PROTEINX_MASTER_REQUESTS_PER_MINUTE": "1000000",
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, within_s: float = 180.0) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "master.out").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *MASTER], env=self._environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        end = time.monotonic() + within_s
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "master.out").read_text(encoding="utf-8")
            assert time.monotonic() < end, "the Master did not start"
            time.sleep(0.1)

    def answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """Stop it as an operator does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=90)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of its database."""
        with closing(sqlite3.connect(self.folder / "master" / "master.db", timeout=30)) as connection:
            return list(connection.execute(query))


class JoinedNode(Node):
    """A node that joins the Master by its address."""

    def __init__(self, workdir: Path, environment: dict[str, str], url: str, name: str) -> None:
        super().__init__(workdir, environment)
        self.name = name
        self._words = (
            "-m",
            "proteinx_pipelines.cli.main",
            "node",
            "--master",
            url,
            "--name",
            name,
            "--no-web",
        )

    @classmethod
    def with_gb1(cls, workdir: Path, url: str, environment: Mapping[str, str] | None = None) -> Self:
        """A node of the folder's name, not started, with the demo's GB1 in its catalog."""
        workdir.mkdir()
        import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
        return cls(workdir, {"OMP_NUM_THREADS": "1", **(environment or {})}, url, workdir.name)

    def begin(self) -> None:
        """Start it, and do not wait for it."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *self._words], env=self.environment, cwd=self.workdir,
                stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL to its supervisor: the kernel takes the parts with it."""
        if self.process is not None:
            kill_all(family_of(self.process.pid))
            self.process.wait()
            self.process = None


@dataclass(kw_only=True)
class MasterCampaign:
    """One campaign; `run` returns everything that is wrong at the end, in words."""

    master: MasterProcess
    nodes: list[JoinedNode]
    server: RedisServer
    jobs: int
    kills: int
    every_s: float
    seed: int
    say: Callable[[str], None] = print
    expected: dict[str, str] = field(default_factory=dict)
    """Job -> state in which it has to end, as far as nobody cancels it."""
    cancelled: set[str] = field(default_factory=set)
    killed: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    back_at: dict[str, float] = field(default_factory=dict)
    """Node -> time at which it is started again."""

    def run(self, within_s: float) -> list[str]:
        """Create, change, kill; then let everything be there again and wait for the ends."""
        chance = random.Random(self.seed)
        began, kill_at = time.monotonic(), time.monotonic() + self.every_s
        self.say(
            f"seed {self.seed}: {self.jobs} jobs, {self.kills} kills, one about every {self.every_s:g} s"
        )
        while len(self.expected) < self.jobs or self.killed.total() < self.kills:
            if time.monotonic() - began > within_s / 2:
                self.say("half of the time is over; no more kills")
                break
            for _ in range(chance.randint(0, 3)):
                if len(self.expected) < self._due():
                    self._create(chance)
            self._change_something(chance)
            self._bring_back()
            if time.monotonic() > kill_at and self.killed.total() < self.kills:
                self._kill(chance)
                kill_at = time.monotonic() + chance.uniform(0.5, 1.5) * self.every_s
            time.sleep(0.2)
        while len(self.expected) < self.jobs:
            self._create(chance)
        self.back_at = dict.fromkeys(self.back_at, 0.0)
        self._bring_back()
        self._release_all()
        while time.monotonic() - began < within_s and self._open():
            self._bring_back()
            time.sleep(0.5)
        time.sleep(2.0)
        self.say(
            f"{time.monotonic() - began:.0f} s, kills {dict(self.killed)}, verbs {dict(self.verbs)}, "
            f"dispatches {dict(self.master.rows('SELECT outcome, count(*) FROM dispatches GROUP BY outcome'))}"
        )
        return self._problems()

    def _due(self) -> int:
        """Jobs that there should be by now: some come between any two kills, or later ones would meet idle nodes."""
        return min(self.jobs, self.jobs * (self.killed.total() + 1) // max(1, self.kills))

    def _more(self, k: int) -> dict[str, str]:
        """Further fields of job `k`."""
        return {}

    # ------------------------------------------------------------------ people
    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """One request, again until the Master answers; a refusal is None."""
        while True:
            try:
                answer = httpx.request(method, f"{self.master.url}/api{path}", timeout=20, **more)
            except httpx.HTTPError:
                if not self.master.answers():
                    self._revive_master()
                continue
            if answer.status_code < 500:
                return answer.json() if answer.is_success else None
            time.sleep(0.2)

    def _create(self, chance: random.Random) -> None:
        k = len(self.expected)
        flags, state = experiment(k)
        name, priority = f"chaos-{k:04d}", chance.randint(0, 3)
        document = {"flags": flags, "experiment_id": name, "priority": priority, **self._more(k)}
        key = {"Idempotency-Key": f"chaos-{k}"}
        self.expected[self._ask("POST", "/jobs", json=document, headers=key)["job_id"]] = state

    def _change_something(self, chance: random.Random) -> None:
        if not self.expected or chance.random() < 0.3:
            return
        one, other = (chance.choice(list(self.expected)) for _ in "12")
        verb = chance.choice(["priority", "before", "after", "hold", "release", "cancel", "pause", "resume"])
        if verb == "cancel" and chance.random() < 0.7:
            return
        self.verbs[verb] += 1
        if verb == "cancel":
            self.cancelled.add(one)
            self._ask("POST", f"/jobs/{one}/cancel")
        elif verb in ("pause", "resume"):
            self._ask("POST", f"/queue/{verb}")
        else:
            change = {
                "priority": {"priority": chance.randint(0, 5)}, "before": {"before": other}, "after": {"after": other},
                "hold": {"held": True}, "release": {"held": False},
            }[verb]  # fmt: skip
            self._ask("PATCH", f"/jobs/{one}", json=change)

    def _release_all(self) -> None:
        self._ask("POST", "/queue/resume")
        for job in self._ask("GET", "/jobs?state=HELD&size=1000")["items"]:
            self._ask("PATCH", f"/jobs/{job['job_id']}", json={"held": False})

    def _open(self) -> int:
        counts = self._ask("GET", "/queue")["counts"]
        return sum(number for state, number in counts.items() if state not in ENDED)

    # ------------------------------------------------------------------ faults
    def _kill(self, chance: random.Random) -> None:
        what = chance.choice(["master", "master", "node", "part", "redis"])
        if what == "master":
            self.master.kill()
            time.sleep(chance.uniform(0.0, 3.0))
            self._revive_master()
        elif what == "redis":
            self.server.kill()
            time.sleep(chance.uniform(0.0, 2.0))
            self.server.start()
        else:
            node = chance.choice(self.nodes)
            if node.process is None:
                return
            if what == "node":
                node.kill()
                # Sometimes within the lease, sometimes behind it.
                self.back_at[node.name] = time.monotonic() + chance.choice([0.0, 5.0, LEASE_S + 20.0])
            else:
                process = part_process(node, chance.choice([part for part in PARTS if part != "redis"]))
                if process is None:
                    return
                process.kill()
        self.killed[what] += 1

    def _revive_master(self) -> None:
        self.master.kill()
        self.master.start()

    def _bring_back(self) -> None:
        for node in self.nodes:
            if node.name in self.back_at and self.back_at[node.name] <= time.monotonic():
                del self.back_at[node.name]
                node.begin()
            elif (
                node.name not in self.back_at and node.process is not None and node.process.poll() is not None
            ):
                node.begin()  # it asked to join while the Master or Redis was away

    # ------------------------------------------------------------------ conditions
    def _problems(self) -> list[str]:
        found = dict(self.master.rows("SELECT job_id, state FROM jobs"))
        problems = [f"unknown job {name}" for name in found.keys() - self.expected.keys()]
        for name, state in self.expected.items():
            allowed = {state, "CANCELLED"} if name in self.cancelled else {state}
            if found.get(name) not in allowed:
                problems.append(f"{name}: {found.get(name)}, expected {state}")
        ends = Counter(
            name
            for name, data in self.master.rows("SELECT job_id, data FROM events WHERE event = 'job.state'")
            if json.loads(data).get("state") in ENDED
        )
        problems += [f"{name} has ended {ends[name]} times" for name in self.expected if ends[name] != 1]
        problems += self._begun_while_paused()
        client = self.server.client
        left = [
            key
            for key in client.keys("experiments:*:results")
            if client.type(key) == b"list" and client.llen(key)
        ]
        return problems + [f"results left in {key!r}" for key in left]

    def _begun_while_paused(self) -> list[str]:
        """Jobs that were given out between a pause and its end."""
        problems, is_paused = [], False
        for name, event, data in self.master.rows("SELECT job_id, event, data FROM events ORDER BY seq"):
            if event in ("queue.paused", "queue.resumed"):
                is_paused = event == "queue.paused"
            elif event == "job.state" and is_paused and json.loads(data)["state"] == "ASSIGNED":
                problems.append(f"{name} was given out while the queue was paused")
        return problems


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without anything that points to another node or Master."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("PROTEINX_", "DAGSTER_", "REDIS_URL"))
    }
