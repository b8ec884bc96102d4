"""A Dask cluster for tests: a scheduler and workers, each a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from proteinx_pipelines_tests.object_servers import free_port
from proteinx_pipelines_tests.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[1]
FORKS = "proteinx_pipelines_tests.dask_forks"


class Part:
    """The process of a scheduler or a worker."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.lives, 60.0, 0.01)

    @property
    def lives(self) -> bool:
        """False when the process has ended."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Cluster:
    """A scheduler and workers, each a process of its own.

    Args:
        folder: for the scheduler's file and the workers' own.
        imports: further modules that all of them have imported when they start.
    """

    def __init__(self, folder: Path, imports: Sequence[str] = ()) -> None:
        pytest.importorskip("distributed", reason="the extra `dask` is not installed")
        if not hasattr(os, "fork"):
            pytest.skip("processes are forked from one that has imported everything")
        self.folder, self.file = folder, folder / "scheduler.json"
        self._imports = list(imports)
        self.processes: list[Part] = []
        self.scheduler = self._start("dask_scheduler", "--port", str(free_port()), "--host", "127.0.0.1")

    def worker(self, **environment: str) -> Part:
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

    def _start(self, program: str, *words: str, **further: str) -> Part:
        request = {
            "program": f"distributed.cli.{program}", "imports": self._imports,
            "words": [*words, "--scheduler-file", str(self.file), "--no-dashboard"],
            "environment": {**_environment(os.environ), **further},
        }  # fmt: skip
        found = _forks()
        assert found.stdin is not None
        assert found.stdout is not None
        found.stdin.write(json.dumps(request) + "\n")
        found.stdin.flush()
        self.processes.append(Part(int(found.stdout.readline())))
        return self.processes[-1]


@contextlib.contextmanager
def cluster_in(folder: Path, imports: Sequence[str] = ()) -> Iterator[Cluster]:
    """A cluster with a folder of its own, until the end of the block; it has no workers."""
    folder.mkdir()
    cluster = Cluster(folder, imports)
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    return {**given, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


@cache
def _forks() -> "subprocess.Popen[str]":
    """The process that starts all others; it ends with this one, whose end of its input is closed then."""
    return subprocess.Popen(
        [sys.executable, "-m", FORKS], env=_environment(os.environ), cwd=REPOSITORY, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
