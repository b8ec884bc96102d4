"""A node of its own for a benchmark: `proteinx up` on a WORKDIR with the demo's GB1 catalog, and a Master beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import redis

from proteinx_pipelines import demo
from proteinx_pipelines.catalog.importing import import_file

DATA = Path(demo.__file__).parent / "data" / "GB1_Nisthal_2019.csv.gz"
_READY_WITHIN_S = 120


class LocalNode:
    """Started when made, without a Master unless `options` say so; `stop` ends it and all of its processes."""

    def __init__(self, workdir: Path, *options: str) -> None:
        self.workdir = workdir
        workdir.mkdir(parents=True, exist_ok=True)
        if not (workdir / "database.db").exists():
            import_file(workdir / "database.db", DATA)
        self.log = workdir.parent / "up.log"
        self.started = time.perf_counter()
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "proteinx_pipelines.cli.main", "up", *(options or ("--node-only",))],
                env={**clean_environment(), "PROTEINX_WORKDIR": str(workdir)},
                cwd=workdir,
                stdout=stream,
                stderr=stream,
            )
        self._wait_until_ready()
        self.ready_s = time.perf_counter() - self.started
        address = json.loads((workdir / "run" / "redis.json").read_text(encoding="utf-8"))["url"]
        self.redis = redis.Redis.from_url(address, socket_timeout=130)

    def _wait_until_ready(self) -> None:
        while "Submit with" not in self.log.read_text(encoding="utf-8"):
            if self.process.poll() is not None or time.perf_counter() - self.started > _READY_WITHIN_S:
                self.stop()
                raise SystemExit(f"the node did not become ready: {self.log.read_text(encoding='utf-8')}")
            time.sleep(0.02)

    def push(self, experiment_id: str, flags: dict[str, Any]) -> None:
        self.redis.lpush("experiments", json.dumps({"experiment_id": experiment_id, "flags": flags}))

    def pop(self) -> dict[str, Any]:
        """The next result."""
        answer = self.redis.brpop(["experiments:results"], timeout=120)
        assert answer, "no result within 120 s"
        result: dict[str, Any] = json.loads(answer[1])
        return result

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of processor that all of its processes have used."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def memory_mb(self) -> float:
        """Memory of all of its processes; what they share is divided among them."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 2**20

    def stop(self) -> float:
        """End it; seconds until it has ended."""
        started = time.perf_counter()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.perf_counter() - started


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that would point to another node."""
    mine = ("PROTEINX_", "DAGSTER_", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}


def flags(seed: int) -> dict[str, Any]:
    """A small experiment that computes all six stages: one-hot, ridge, no plots."""
    return {
        "data": {"source": "GB1_Nisthal_2019"},
        "split": {"seed": seed},
        "evaluate": {"bootstrap": 0, "plots": False},
        "run": {"resume": False},
    }
