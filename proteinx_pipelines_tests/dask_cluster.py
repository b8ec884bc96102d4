"""A Dask cluster for tests: a scheduler and workers, each a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proteinx_pipelines_tests.object_servers import free_port

REPOSITORY = Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("distributed", reason="the extra `dask` is not installed")
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--port", str(free_port()), "--host", "127.0.0.1")

    def worker(self, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a worker."""
        local = str(self.folder / f"worker-{len(self.processes)}")
        words = ("--nthreads", "1", "--no-nanny", "--local-directory", local)
        return self._start("dask_worker", *words, **environment)

    def wait(self) -> None:
        """Wait for the scheduler's file."""
        ends_at = time.monotonic() + 60
        while not self.file.is_file() and time.monotonic() < ends_at:
            time.sleep(0.1)

    def close(self) -> None:
        """Kill all processes."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, program: str, *words: str, **further: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(self.file)]
        process = subprocess.Popen(
            [*command, *words, "--no-dashboard"],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **further},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process
