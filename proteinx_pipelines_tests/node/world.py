"""A node as the reconciler and the stopper see it: a real `state.db`, real processes, a run history set by the test."""

import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.reconciler import Reconciler
from proteinx_pipelines.node.lifecycle.runs import HandRun
from proteinx_pipelines.node.lifecycle.stopper import Stopper
from proteinx_pipelines.node.processes.births import birth
from proteinx_pipelines.queue.queue import connect


@dataclass
class FakeRuns:
    """The run history's answers, and what was asked of it: Dagster itself is in the stories."""

    ends: dict[str, RunEnd] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    launched: list[str] = field(default_factory=list)
    open: list[tuple[str, str]] = field(default_factory=list)
    hand: list[HandRun] = field(default_factory=list)

    def end_of(self, run_id: str) -> RunEnd | None:
        return self.ends.get(run_id)

    def end(self, run_id: str, message: str) -> None:
        self.ended.append(run_id)

    def launch(self, run_id: str) -> None:
        self.launched.append(run_id)

    def open_attempts(self) -> list[tuple[str, str]]:
        return self.open

    def by_hand(self) -> list[HandRun]:
        return self.hand


@dataclass
class World:
    """A node as the reconciler sees it; this test's process is both the run host and the worker."""

    intake: Intake
    runs: FakeRuns
    now: float = 0.0
    oom_kills: int | None = None

    def __post_init__(self) -> None:
        self.settings, self.state = self.intake.settings, self.intake.state
        self.reconciler = Reconciler(self.settings, self.state, self.runs, clock=lambda: self.now)
        self.stopper = Stopper(self.settings, self.state, self.runs)
        for part in ("host", "worker", "sensor"):
            self.part(part, os.getpid())

    def part(self, name: str, pid: int) -> None:
        write_json(self.settings.run_dir / f"{name}.json", {"pid": pid, "started": birth(pid)})

    def no_part(self, name: str) -> None:
        (self.settings.run_dir / f"{name}.json").unlink()

    def arrive(self, experiment_id: str = "e", **run: Any) -> Generation:
        flags = {"data": {"source": "GB1"}, "run": run}
        self.intake.ingest(json.dumps({"experiment_id": experiment_id, "flags": flags}).encode())
        return self.latest(experiment_id)

    def begin(self, experiment_id: str = "e", pid: int | None = None, **run: Any) -> Generation:
        current = self.state.latest(experiment_id) or self.arrive(experiment_id, **run)
        token = self.state.begin(
            experiment_id, current.generation, current.attempt, run_id=f"run-{current.attempt}",
            host_pid=os.getpid(), timeout_s=run.get("timeout_s"), oom_kills=self.oom_kills,
        )  # fmt: skip
        assert token is not None
        if pid is not None:
            self.state.beat(token, stage="train", progress=0.1, note="", pid=pid)
        return self.latest(experiment_id)

    def latest(self, experiment_id: str = "e") -> Generation:
        found = self.state.latest(experiment_id)
        assert found is not None
        return found

    def results(self) -> list[dict[str, Any]]:
        client = connect(self.settings.redis_url or "")
        return [json.loads(raw) for raw in client.lrange("experiments:results", 0, -1)]


def is_gone(pid: int, within_s: float = 60.0) -> bool:
    """True if a process ends within this time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False
