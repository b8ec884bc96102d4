"""A whole node for the stories: every process that a user starts with `proteinx up`, on a WORKDIR of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from proteinx_pipelines.catalog.importing import import_file

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "proteinx_pipelines" / "demo" / "data"
READY_WITHIN_S = 90.0
ANSWER_WITHIN_S = 120.0


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

    def start(self) -> None:
        """`proteinx up`, until it says that it is ready."""
        command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "up", "--no-web"]
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.workdir,
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
            )
        end = time.monotonic() + READY_WITHIN_S
        while "is ready" not in self.log.read_text(encoding="utf-8"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(
                    f"The node did not become ready:\n{self.log.read_text(encoding='utf-8')}"
                )
            time.sleep(0.1)

    def stop(self) -> float:
        """SIGTERM, and the seconds it took until no process of the node was left."""
        assert self.process is not None
        started = time.monotonic()
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        _gone, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            process.kill()
        assert not alive, f"left behind: {alive}"
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
        code = (
            "import dagster as dg, json\n"
            "with dg.DagsterInstance.get() as instance:\n"
            "    run = instance.get_runs(limit=1)[0]\n"
            "    logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)\n"
            "    print(json.dumps([run.run_id, [entry.step_key for entry in logs]]))\n"
        )
        environment = {**self.environment, "DAGSTER_HOME": str(self.workdir / "dagster_home")}
        printed = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        return list(json.loads(printed.stdout.splitlines()[-1])[1])


@pytest.fixture(scope="module")
def start_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    """Start nodes with the demo's catalog (or other files); all are stopped at the end of the module."""
    nodes: list[Node] = []

    def start(*files: Path, **environment: str) -> Node:
        workdir = tmp_path_factory.mktemp("node")
        for file in files or sorted(DEMO.glob("*.csv.gz")):
            import_file(workdir / "database.db", file)
        node = Node(workdir, environment)
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            node.stop()
