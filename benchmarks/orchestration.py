"""What the node adds to an experiment: push-to-result, minus the same stages called in a warm process.

Run: `python benchmarks/orchestration.py [--experiments 20] [--repeats 10] [--out FILE]`. Starts a node of its own on a
temporary WORKDIR with the demo's GB1 catalog, and stops it. Prints medians with the spread.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import redis

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.document import versions
from proteinx_pipelines.experiment_dir.layout import STAGES
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import load_settings

DATA = (
    Path(__file__).resolve().parents[1] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
)


def flags(seed: int) -> dict[str, Any]:
    """A small experiment that computes all six stages: one-hot, ridge, no plots."""
    return {
        "data": {"source": "GB1_Nisthal_2019"},
        "split": {"seed": seed},
        "evaluate": {"bootstrap": 0, "plots": False},
        "run": {"resume": False},
    }


def plain_script(workdir: Path, repeats: int) -> list[float]:
    """Seconds of the six stages, called one after another in this process; the first call is not counted."""
    settings = load_settings({"PROTEINX_WORKDIR": str(workdir / "plain")}, workdir)
    import_file(settings.database_path, DATA)
    seconds = []
    for number in range(repeats + 1):
        started = time.perf_counter()
        attempt = Attempt(settings, f"plain-{number}", parse_flags(flags(number)))
        for stage in STAGES:
            attempt.publish(attempt.run_stage(stage, attempt.record))
        attempt.close()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


class Node:
    """`proteinx up` on a WORKDIR of its own."""

    def __init__(self, workdir: Path) -> None:
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("PROTEINX_", "DAGSTER_", "REDIS_URL"))
        }
        import_file(workdir / "database.db", DATA)
        self.log = workdir / "up.log"
        command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "up"]
        self.started = time.perf_counter()
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                env={**environment, "PROTEINX_WORKDIR": str(workdir)},
                cwd=workdir,
                stdout=stream,
                stderr=stream,
            )
        while "is ready" not in self.log.read_text(encoding="utf-8"):
            time.sleep(0.02)
        self.ready_s = time.perf_counter() - self.started
        url = json.loads((workdir / "run" / "redis.json").read_text(encoding="utf-8"))["url"]
        self.redis = redis.Redis.from_url(url, socket_timeout=130)

    def push(self, experiment_id: str, seed: int) -> None:
        self.redis.lpush("experiments", json.dumps({"experiment_id": experiment_id, "flags": flags(seed)}))

    def pop(self) -> None:
        result = json.loads(self.redis.brpop(["experiments:results"], timeout=120)[1])
        assert result["status"] == "SUCCEEDED", result["error"]
        assert set(result["stages"].values()) == {"computed"}, result["stages"]

    def cpu_s(self) -> float:
        family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        return sum(sum(process.cpu_times()[:2]) for process in family)

    def stop(self) -> float:
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.perf_counter() - started


def spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"median": statistics.median(ordered), "min": ordered[0], "max": ordered[-1], "n": len(ordered)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--experiments", type=int, default=20)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_script(Path(folder), arguments.repeats)
        node_dir = Path(folder) / "node"
        node_dir.mkdir()
        node = Node(node_dir)
        try:
            node.push("warm", 10_000)
            node.pop()
            single = []
            for number in range(arguments.repeats):
                time.sleep(1.0)  # an idle node: the tick is waiting, wherever it is in its round
                started = time.perf_counter()
                node.push(f"single-{number}", number)
                node.pop()
                single.append(time.perf_counter() - started)
            started = time.perf_counter()
            for number in range(arguments.experiments):
                node.push(f"queued-{number}", 100 + number)
            for _ in range(arguments.experiments):
                node.pop()
            queued = (time.perf_counter() - started) / arguments.experiments
            time.sleep(2)
            before = node.cpu_s()
            time.sleep(arguments.idle_seconds)
            idle = (node.cpu_s() - before) / arguments.idle_seconds
        finally:
            stop_s = node.stop()
    base = statistics.median(plain)
    report = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
        },
        "versions": versions(),
        "plain_script_s": spread(plain),
        "push_to_result_s": spread(single),
        "overhead_idle_s": statistics.median(single) - base,
        "queued_per_experiment_s": queued,
        "overhead_queued_s": queued - base,
        "idle_cpu_fraction_of_one_core": idle,
        "ready_s": node.ready_s,
        "stop_s": stop_s,
    }
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
