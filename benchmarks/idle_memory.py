"""Memory of a node, part by part: idle, after one experiment, after ten, and after one that trains a network.

Proportional memory (PSS): pages that processes share are divided among them, so that the sum is what the node takes
from the machine. Beside it what a part shares with nobody (USS), its modules, and the large packages among them.
Linux only.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from local_node import LocalNode, flags
from measure import Figure, Goal, Spread, arguments_of, report

LISTER = Path(__file__).parent / "held_modules"
LARGE = (
    "torch",
    "lightning",
    "scipy",
    "pandas",
    "pyarrow",
    "numpy",
    "dagster",
    "celery",
    "sqlalchemy",
    "grpc",
)
"""Packages worth naming, the largest first."""
SETTLE_S = 8.0
"""Seconds after which an idle node has done what it does once."""
NETWORK = {"model": {"name": "mlp"}, "train": {"max_epochs": 3, "patience": 3}}


def main() -> None:
    options = arguments_of(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        lists = Path(folder) / "modules"
        lists.mkdir()
        os.environ["HELD_MODULES"] = str(lists)
        others = filter(None, [os.environ.get("PYTHONPATH")])
        os.environ["PYTHONPATH"] = os.pathsep.join([str(LISTER), *others])
        report("idle_memory", figures(Path(folder) / "workdir", lists), options.out)


def figures(workdir: Path, lists: Path) -> Sequence[Figure]:
    """The sums, in MB of 10^6 bytes."""
    node = LocalNode(workdir, "--with-master")  # as `proteinx up` starts it
    try:
        time.sleep(SETTLE_S)
        idle = table("idle", node, lists)
        experiments(node, "first", 1)
        one = table("after one experiment", node, lists)
        experiments(node, "further", 9)
        ten = table("after ten", node, lists)
        experiments(node, "network", 1, NETWORK)
        network = table("after one that trains a network", node, lists)
    finally:
        node.stop()
    goal = (Goal("ours", "<=", 800),)
    return [
        Figure("idle_memory.idle", "memory of an idle node", "MB", Spread.of([idle]), goals=goal),
        Figure("idle_memory.one", "memory after one experiment", "MB", Spread.of([one]), goals=goal),
        Figure("idle_memory.ten", "memory after ten experiments", "MB", Spread.of([ten])),
        Figure("idle_memory.network", "memory after a network was trained", "MB", Spread.of([network])),
    ]


def experiments(node: LocalNode, name: str, n: int, more: dict[str, object] | None = None) -> None:
    for number in range(n):
        node.push(f"{name}-{number}", {**flags(number), **(more or {})})
        result = node.pop()
        assert result["status"] == "SUCCEEDED", result["error"]
    time.sleep(2.0)


def table(title: str, node: LocalNode, lists: Path) -> float:
    """Print one line a process; returns the sum in MB."""
    print(f"{title}:\n  {'part':12} {'PSS MB':>8} {'USS MB':>8} {'modules':>8}")
    total, seen = 0.0, set()
    for process in node.processes():
        memory, modules = process.memory_full_info(), held(process, lists)
        part = part_of(process)
        name = "step process" if part in seen else part
        seen.add(part)
        packages = {module.split(".")[0] for module in modules}
        large = ", ".join(package for package in LARGE if package in packages)
        print(f"  {name:12} {memory.pss / 1e6:8.1f} {memory.uss / 1e6:8.1f} {len(modules) or '':>8}  {large}")
        total += memory.pss / 1e6
    print(f"  {'all':12} {total:8.1f}", flush=True)
    return total


def part_of(process: psutil.Process) -> str:
    words = process.cmdline()
    if "up" in words:
        return "up"  # with its options behind it
    return "redis" if "valkey" in words[0] else words[-1]


def held(process: psutil.Process, lists: Path) -> list[str]:
    """Names of the modules that a process has imported; none for a program that is not Python."""
    if part_of(process) == "redis":
        return []
    answer = lists / str(process.pid)
    answer.unlink(missing_ok=True)
    process.send_signal(signal.SIGRTMIN + 5)
    end = time.monotonic() + 5
    while not answer.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.05)
    return answer.read_text(encoding="utf-8").split("\n") if answer.is_file() else []


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemExit("missing: proportional memory is Linux's")
    main()
