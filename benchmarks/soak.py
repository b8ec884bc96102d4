"""A soak: many small experiments through one node, with memory, descriptors, disk and Redis of each part sampled.

    python benchmarks/soak.py --experiments 1000      # `make soak`

Nine of ten experiments succeed (one-hot, ridge, each with a split of its own), one of twenty fails, one of twenty is
cancelled while it waits. Samples go into a JSON file, a figure and a table: growth for each thousand experiments, and
what reaches its limit first. `soak_growth` fits; this script runs and samples. Linux only.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from idle_memory import part_of
from local_node import LocalNode, flags
from measure import machine
from soak_growth import draw, growth_table

from proteinx_pipelines.clock import timestamp

HERE = Path(__file__).parent
OUT = HERE / "results" / "soak.json"
FIGURE = HERE.parent / "docs" / "soak.svg"
FOLDERS = ("experiments", "store", "dagster_home", "redis", "logs", "failures", "run", "staging", "payloads")
_VARIES = re.compile(r"soak-\d+|[0-9a-f]{8}[0-9a-f-]{8,}")
"""What differs between the keys of one kind: ids of experiments, and identifiers."""
_HOST = re.compile(rf"\b{re.escape(platform.node())}\b")
"""The node's name, which is the machine's."""
AHEAD = 20
"""Experiments that wait at the same time: the Master's list is never empty and never long."""


def main() -> int:
    options = parse_options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        node = LocalNode(Path(folder) / "workdir", "--with-master")
        try:
            wrong = soak(node, options.experiments, options.every, lambda found: write(found, options.out))
        finally:
            node.stop()
    if options.out == OUT:
        shutil.copyfile(OUT.with_suffix(".svg"), FIGURE)
    print(options.out.with_suffix(".md").read_text(encoding="utf-8"))
    print("\n".join(wrong) or "every message has one right result")
    return 1 if wrong else 0


def write(samples: list[dict[str, Any]], out: Path) -> None:
    """Write what there is, after each sample: a soak that is broken off is worth something too."""
    document = {"at": timestamp(), "machine": machine(), "samples": samples}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if len(samples) > 3:
        draw(samples, out.with_suffix(".svg"))
    out.with_suffix(".md").write_text(growth_table(samples), encoding="utf-8")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--every", type=int, default=25, help="experiments between two samples")
    parser.add_argument("--folder", type=Path, help="where the WORKDIR is made; default: the system's")
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        help="and .svg, .md beside it; by default the figure of docs/ as well",
    )
    return parser.parse_args()


def soak(
    node: LocalNode, experiments: int, every: int, keep: Callable[[list[dict[str, Any]]], None]
) -> list[str]:
    """Run it; what is wrong with the results, in words. `keep` gets all samples whenever there is a further one."""
    began, expected, found = time.monotonic(), {}, Counter[tuple[str, str]]()
    samples = [sample(node, 0, 0.0)]
    sent = done = 0
    while done < experiments:
        while sent < min(experiments, done + AHEAD):
            expected[name_of(sent)] = send(node, sent)
            sent += 1
        result = node.pop()
        found[result["experiment_id"], result["status"]] += 1
        done += 1
        if done % every == 0:
            samples.append(sample(node, done, time.monotonic() - began))
            keep(samples)
            print(f"{done} experiments, {samples[-1]['seconds']:.0f} s", flush=True)
    right = Counter(dict.fromkeys(expected.items(), 1))
    wrong = [f"{what}: {count} too many" for what, count in (found - right).items()]
    return [*wrong, *(f"{what}: missing" for what in right - found)]


def name_of(number: int) -> str:
    return f"soak-{number:05d}"


def send(node: LocalNode, number: int) -> str:
    """Push one experiment; how it has to end."""
    wanted = flags(number)
    if number % 20 == 7:
        wanted["data"] = {**wanted["data"], "dms_score": {"min": 1e6 + number}}
    node.push(name_of(number), wanted)
    if number % 20 == 17:
        node.redis.lpush("experiments:cancel", name_of(number))
        return "CANCELLED"
    return "FAILED" if number % 20 == 7 else "SUCCEEDED"


def sample(node: LocalNode, done: int, seconds: float) -> dict[str, Any]:
    """The state of every part: MB of 10^6 bytes."""
    parts: dict[str, dict[str, float]] = {}
    for process in node.processes():
        name = part_of(process)
        if name in parts:
            name = f"{name}: step process"
        memory = process.memory_full_info()
        parts[name] = {
            "pss_mb": memory.pss / 1e6,
            "uss_mb": memory.uss / 1e6,
            "descriptors": process.num_fds(),
            "threads": process.num_threads(),
        }
    disk = {name: size_mb(node.workdir / name) for name in FOLDERS}
    disk["state.db"] = sum(path.stat().st_size for path in node.workdir.glob("state.db*")) / 1e6
    info = node.redis.info()
    return {
        "experiments": done,
        "seconds": seconds,
        "parts": parts,
        "disk_mb": disk,
        "disk_free_mb": psutil.disk_usage(str(node.workdir)).free / 1e6,
        "redis": {"used_mb": info["used_memory"] / 1e6, **kinds_of_keys(node)},
    }


def size_mb(folder: Path) -> float:
    """What a folder takes; a file with several names (hard links) counts once."""
    sizes = {}
    for root, folders, files in os.walk(folder):  # it passes over what is removed meanwhile
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                facts = (Path(root) / name).lstat()
                sizes[facts.st_ino] = facts.st_blocks * 512
    return sum(sizes.values()) / 1e6


def kinds_of_keys(node: LocalNode) -> dict[str, dict[str, int]]:
    """Number of keys of each kind (names without what differs between experiments), and of those that never expire."""
    kinds: Counter[str] = Counter()
    lasting: Counter[str] = Counter()
    for key in node.redis.scan_iter(count=1000):
        kind = _HOST.sub("NODE", _VARIES.sub("*", key.decode(errors="replace")))
        kinds[kind] += 1
        lasting[kind] += node.redis.ttl(key) == -1
    return {"keys": dict(kinds), "lasting": {kind: count for kind, count in lasting.items() if count}}


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemExit("missing: proportional memory is Linux's")
    sys.exit(main())
