"""A whole node for the stories: every process that a user starts with `proteinx up`, on a WORKDIR of its own."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from proteinx_pipelines.catalog.importing import import_file

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "proteinx_pipelines" / "demo" / "data"
READY_WITHIN_S = 180.0
ANSWER_WITHIN_S = 240.0
STOP_WITHIN_S = 30.0
"""As promised; a quiet machine needs 3 s."""
UP = ("-m", "proteinx_pipelines.cli.main", "up", "--no-web", "--node-only")


class Node:
    """A running node, seen as a Master and an operator see it."""

    def __init__(self, workdir: Path, environment: dict[str, str]) -> None:
        self.workdir = workdir
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROTEINX_", "DAGSTER_"))
        }
        kept.pop("REDIS_URL", None)
        self.environment = {**kept, "PROTEINX_WORKDIR": str(workdir), **environment}
        self.log = workdir / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        """`proteinx up` (or Python with other words), until it says that it is ready; else nothing is left of it."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *(words or UP)],
                env=self.environment,
                cwd=self.workdir,
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
            )
        try:
            self._wait_until_ready(self.process)
        except BaseException:  # the time limit of a test among them
            kill_all(family_of(self.process.pid))
            self.process.wait()
            raise

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + READY_WITHIN_S
        while "Submit with" not in (said := self.log.read_text(encoding="utf-8")):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"The node did not become ready:\n{said}")
            time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """A signal, and the seconds it took until no process of the node was left; what is left is killed."""
        assert self.process is not None
        started = time.monotonic()
        family = family_of(self.process.pid)
        try:
            self.process.send_signal(number)
            self.process.wait(timeout=60)
            _gone, alive = psutil.wait_procs(family, timeout=60)
            assert not alive, f"left behind: {alive}"
        finally:
            kill_all(family)
            self.process.wait()
        return time.monotonic() - started

    @property
    def redis(self) -> redis.Redis:
        """A plain client, as the Master's."""
        url = json.loads((self.workdir / "run" / "redis.json").read_text(encoding="utf-8"))["url"]
        return redis.Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S + 10)

    def push(self, experiment_id: str, flags: dict[str, Any], **more: Any) -> None:
        """`LPUSH experiments`."""
        self.redis.lpush("experiments", json.dumps({"experiment_id": experiment_id, "flags": flags, **more}))

    def pop(self) -> dict[str, Any]:
        """`BRPOP experiments:results`."""
        found = self.redis.brpop(["experiments:results"], timeout=ANSWER_WITHIN_S)
        assert found is not None, "no result came"
        return dict(json.loads(found[1]))

    def run(self, experiment_id: str, flags: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Push one experiment and pop its result."""
        self.push(experiment_id, flags, **more)
        result = self.pop()
        assert result["experiment_id"] == experiment_id
        return result

    def experiment(self, experiment_id: str) -> Path:
        """Its directory."""
        return self.workdir / "experiments" / experiment_id

    def steps_of_last_run(self) -> list[str]:
        """Names of the steps that Dagster's newest run executed, in order."""
        ((run_id,),) = self.history("runs.db", "SELECT run_id FROM runs ORDER BY id DESC LIMIT 1")
        query = "SELECT step_key FROM event_logs WHERE run_id = ? AND dagster_event_type = 'STEP_SUCCESS' ORDER BY id"
        return [str(step) for (step,) in self.history("event_log.db", query, run_id)]

    def history(self, database: str, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Rows of Dagster's history, read without Dagster, whose import takes seconds."""
        with closing(sqlite3.connect(self.workdir / "dagster_home" / database, timeout=30)) as connection:
            return list(connection.execute(query, values))


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, directly or not; none when it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_all(family: list[psutil.Process]) -> None:
    """SIGKILL to those that still live, the first one first: it would start the others again. Waits for their end."""
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)


@pytest.fixture(scope="module")
def make_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    """Make nodes with the demo's catalog, not started; what runs is stopped at the end of the module."""
    nodes: list[Node] = []

    def make(**environment: str) -> Node:
        workdir = tmp_path_factory.mktemp("node")
        for file in sorted(DEMO.glob("*.csv.gz")):
            import_file(workdir / "database.db", file)
        nodes.append(Node(workdir, environment))
        return nodes[-1]

    yield make
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            node.stop()


@pytest.fixture(scope="module")
def start_node(make_node: Callable[..., Node]) -> Callable[..., Node]:
    """Start nodes with the demo's catalog; all are stopped at the end of the module."""

    def start(**environment: str) -> Node:
        node = make_node(**environment)
        node.start()
        return node

    return start
