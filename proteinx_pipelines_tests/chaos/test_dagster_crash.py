"""Dagster's daemon killed at the points that Dagster itself names, while it creates the runs requested by its sensor.

Three of the twelve cases, drawn anew each time; the strong form, all of them, is `make chaos SCENARIO=dagster`.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines_tests.chaos.campaign import HERE, OPEN_RUNS, SOURCE, environment, journal, rows
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed, waits_in_vain
from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
UNRESERVED = "AUTOMATION_EVALUATIONS_ADDED"
"""The sensor has answered, and its requests are nowhere yet: the moment that loses what a sensor has popped."""
POINTS = ("TICK_CREATED", "TICK_HELD", UNRESERVED, "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
CASES = [(point, number) for point in POINTS for number in (signal.SIGKILL, signal.SIGTERM)]
LOST_S = 25.0
"""Without a result for this long, in seconds, an experiment of a second is lost."""
RUNS = "SELECT value, COUNT(*) FROM run_tags WHERE key = 'dagster/run_key' GROUP BY value HAVING COUNT(*) > 1"
UNTOUCHED = "SELECT experiment_id FROM generations WHERE attempt != 1 OR losses != 0 OR failures != 0"


@contextmanager
def running(workdir: Path) -> Iterator[Node]:
    """A node whose daemon obeys `die_at.json`."""
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    given = environment(workdir)
    path = os.pathsep.join([str(HERE / "early"), given["PYTHONPATH"]])
    node = Node(workdir, {**given, "PYTHONPATH": path, "CHAOS_EARLY": "dagster_points"})
    node.start()
    try:
        yield node
    finally:
        node.stop()


def push(node: Node, name: str, seed: int) -> None:
    node.push(name, {"data": {"source": SOURCE}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 10},
                     "split": {"seed": seed}})  # fmt: skip


def die(node: Node, name: str, seed: int, point: str, number: signal.Signals) -> None:
    """Have the daemon die at a point while it works on an experiment."""
    order = node.workdir / "die_at.json"
    write_json(order, {"point": point, "signal": int(number)})
    push(node, name, seed)
    wait_for(lambda: not order.exists())


def wait_for(what: Callable[[], Any], within_s: float = 180.0) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_daemon_that_dies_at_any_point_of_dagsters_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    chance = random.Random(printed_seed("Dagster's crash points"))
    cases = chance.sample(CASES, how_often(3, len(CASES)))
    with running(tmp_path) as node:
        for k, (point, number) in enumerate(cases):
            die(node, f"during-{k}", chance.randrange(10**9), point, number)
            died_at = time.monotonic()
            push(node, f"after-{k}", chance.randrange(10**9))
            results = [node.pop(), node.pop()]
            sys.stdout.write(
                f"{point}, {number.name}: both results after {time.monotonic() - died_at:.1f} s\n"
            )
            assert {result["experiment_id"] for result in results} == {f"during-{k}", f"after-{k}"}
            assert {result["status"] for result in results} == {"SUCCEEDED"}
        time.sleep(2.0)  # a second copy of something would come now
        assert node.redis.llen("experiments:results") == 0
        assert rows(node, "state.db", UNTOUCHED) == []
        assert rows(node, "dagster_home/runs.db", OPEN_RUNS) == []
        assert rows(node, "dagster_home/runs.db", RUNS) == []
        assert [fact for fact in journal(node) if fact["event"] == "overlap"] == []


@waits_in_vain
def test_a_sensor_that_noted_what_it_requests_would_lose_it(tmp_path: Path) -> None:
    """Guard off: requested means done, as in a sensor that pops."""
    (tmp_path / "unguarded").touch()
    with running(tmp_path) as node:
        push(node, "undisturbed", 1)
        assert node.pop()["status"] == "SUCCEEDED"
        die(node, "lost", 2, UNRESERVED, signal.SIGKILL)
        push(node, "after", 3)
        assert node.pop()["experiment_id"] == "after"
        assert node.redis.brpop(["experiments:results"], timeout=LOST_S) is None
