"""A whole node on a small disk that becomes full twice: in the middle of a training, and while messages wait.

    unshare -rm python -m proteinx_pipelines_tests.chaos.disk_full_node MOUNT_POINT REDIS_URL

Everything that a node writes is on that disk: state.db, experiments, store, logs, Dagster's history and storage. Prints
one JSON document: the results received, and the soundness of the databases.
"""

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import SOURCE
from proteinx_pipelines_tests.chaos.disk_full import DEMO, Disk
from proteinx_pipelines_tests.story.conftest import Node

QUICK = {"data": {"source": SOURCE, "limit": 300}, "evaluate": {"bootstrap": 0}}
LONG = {**QUICK, "model": {"name": "mlp"}, "train": {"max_epochs": 100_000, "patience": 100_000}}
FULL_S = 15.0
"""Seconds that the disk stays full."""


class SmallNode(Node):
    """A node whose Redis is elsewhere: what is under test is its own disk."""

    @property
    def redis(self) -> redis.Redis:
        """The Master's client."""
        return redis.Redis.from_url(self.environment["REDIS_URL"], socket_timeout=130)


def in_training(node: Node) -> bool:
    query = "SELECT 1 FROM generations WHERE experiment_id = 'long' AND stage = 'train' AND progress > 0"
    with closing(sqlite3.connect(node.workdir / "state.db", timeout=30)) as connection:
        return connection.execute(query).fetchone() is not None


def full_for_a_while(node: Node, disk: Disk, push: dict[str, Any] | None) -> None:
    """Fill the disk, perhaps push an experiment, wait, and make room."""
    with contextlib.suppress(OSError):  # the node writes at the same time
        disk.fill(0)
    with contextlib.suppress(OSError), disk.ballast.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    if push is not None:
        node.push("meanwhile", push)
    time.sleep(FULL_S)
    disk.make_room()


def results_of(node: Node, disk: Disk) -> dict[str, list[str | None]]:
    found = [node.run("before", {**QUICK, "split": {"seed": 1}})]
    node.push("long", LONG)
    end = time.monotonic() + 60
    while not in_training(node) and time.monotonic() < end:
        time.sleep(0.1)
    full_for_a_while(node, disk, None)
    found.append(node.pop())
    found.append(node.run("between", {**QUICK, "split": {"seed": 2}}))
    full_for_a_while(node, disk, {**QUICK, "split": {"seed": 3}})
    found.append(node.pop())
    found.append(node.run("after", {**QUICK, "split": {"seed": 4}}))
    return {each["experiment_id"]: [each["status"], (each["error"] or {}).get("code")] for each in found}


def sound(path: Path) -> str:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def main() -> None:
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)], check=True)
    workdir = folder / "workdir"
    workdir.mkdir()
    import_file(workdir / "database.db", DEMO)
    node = SmallNode(workdir, {"REDIS_URL": sys.argv[2], "OMP_NUM_THREADS": "1"})
    node.start()
    try:
        results = results_of(node, Disk(folder))
        assert node.process is not None
        alive = node.process.poll() is None
    except BaseException:
        for log in (node.log, *sorted((workdir / "logs").glob("*.log"))):
            sys.stderr.write(f"{log.name}:\n{log.read_text(encoding='utf-8')[-2000:]}\n")
        raise
    finally:
        node.stop()
    left = [path for path in workdir.rglob("*.db") if path.name != "database.db"]
    databases = {path.relative_to(workdir).as_posix(): sound(path) for path in left}
    unsound = {name: said for name, said in databases.items() if said != "ok"}
    found = {"results": results, "alive": alive, "unsound": unsound, "databases": len(databases)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
