"""Cancels, time limits and a stopped node, on a whole running node.

The strong form, 20 of each, is `make chaos SCENARIO=stops`; `test_killed_trainings` compares the final bits of an
interrupted training.
"""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.node.lifecycle.stopper import GRACE_S
from proteinx_pipelines_tests.chaos.campaign import HERE, SOURCE, rows
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import DEMO, STOP_WITHIN_S, Node

pytestmark = pytest.mark.story
QUICK = {"data": {"source": SOURCE}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 10}}
START_S = 12.0
"""Seconds within which an experiment is in the stage in which it is to be stopped, on a busy machine too."""
LIMIT_S = 60.0
"""Most seconds after its limit until a process that was asked to stop is gone; twice what a quiet machine needs."""


def long_training(epochs: int, seed: int) -> dict[str, Any]:
    """A training that another one's result in the store does not spare."""
    train = {"max_epochs": epochs, "patience": epochs, "seed": seed}
    return {**QUICK, "model": {"name": "mlp"}, "train": train}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    workdir = tmp_path_factory.mktemp("node")
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    path = os.pathsep.join([str(HERE / "early"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {
        "PYTHONPATH": path,
        "PROTEINX_PLUGINS": "chaos_stubborn",
        "OMP_NUM_THREADS": "1",
    }
    found = Node(workdir, environment)
    found.start()
    yield found
    found.stop()


def wait_for(what: Callable[[], Any], within_s: float = 120.0) -> float:
    """Wait until something is true; the seconds it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, f"it did not happen within {within_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


def in_training(node: Node, name: str) -> bool:
    query = f"SELECT progress FROM generations WHERE experiment_id = '{name}' AND stage = 'train' AND progress > 0"
    return bool(rows(node, "state.db", query))


def is_stubborn(node: Node, name: str) -> bool:
    """True if it is in the first stage that it computes: those before are taken over, and listen."""
    query = f"SELECT 1 FROM generations WHERE experiment_id = '{name}' AND stage = 'split'"
    return bool(rows(node, "state.db", query))


def step_pid(node: Node, name: str) -> int | None:
    found = rows(node, "state.db", f"SELECT worker_pid FROM generations WHERE experiment_id = '{name}'")
    return found[0][0] if found else None


def ask_to_cancel(node: Node, name: str) -> None:
    node.redis.lpush("experiments:cancel", name)


def test_a_cancel_ends_a_training_within_seconds_and_the_next_experiment_runs(node: Node) -> None:
    node.push("cancelled", long_training(100_000, seed=1))
    node.push("waiting", {**QUICK, "split": {"seed": 1}})
    node.push("behind", {**QUICK, "split": {"seed": 2}})
    ask_to_cancel(node, "waiting")
    wait_for(lambda: in_training(node, "cancelled"))
    ask_to_cancel(node, "cancelled")
    began = time.monotonic()
    answers = {result["experiment_id"]: result for result in (node.pop() for _ in range(3))}
    assert {name: result["status"] for name, result in answers.items()} == {
        "waiting": "CANCELLED", "cancelled": "CANCELLED", "behind": "SUCCEEDED",
    }  # fmt: skip
    assert time.monotonic() - began < LIMIT_S
    assert answers["cancelled"]["error"]["code"] == "cancelled"


@pytest.mark.parametrize("kind", ["timeout", "cancel"])
def test_what_is_stopped_is_gone_in_time_and_the_next_experiment_is_served(node: Node, kind: str) -> None:
    """Of every two, one notices the request and stops by itself; the silent other is killed after its grace."""
    chance = random.Random(printed_seed(f"{kind}s"))
    stops = [stop(node, kind, k, chance) for k in range(how_often(2, 20))]
    for what, times in zip(("gone", "next served"), zip(*stops, strict=True), strict=True):
        quartiles = ", ".join(f"{point:.1f}" for point in statistics.quantiles(times, method="inclusive"))
        sys.stdout.write(
            f"{len(times)} {kind}s, {what}: quartiles {quartiles} s, longest {max(times):.1f} s\n"
        )
    assert max(gone for gone, _ in stops) < LIMIT_S
    assert max(served for _, served in stops) < LIMIT_S


def stop(node: Node, kind: str, k: int, chance: random.Random) -> tuple[float, float]:
    """Stop one experiment at a random moment; seconds from its limit until it is gone, and to the next result."""
    listens = k % 2 == 0
    limit_s = round(chance.uniform(1.0, 3.0) + (START_S if kind == "timeout" else 0.0), 2)
    name, behind = f"{'heard' if listens else 'stubborn'}-{kind}-{k}", f"behind-{kind}-{k}"
    flags = long_training(100_000, seed=10_000 + k) if listens else {**QUICK, "split": {"seed": 10_000 + k}}
    run = {"retries": 3, **({"timeout_s": limit_s} if kind == "timeout" else {})}
    pushed_at = time.monotonic()
    node.push(name, {**flags, "run": run})
    node.push(behind, {**QUICK, "split": {"seed": chance.randrange(10**9)}})
    wait_for(lambda: in_training(node, name) if listens else is_stubborn(node, name))
    # A time limit counts from the begin of the attempt, which this test does not see: not before the push.
    limit_at = limit_s + (pushed_at if kind == "timeout" else time.monotonic())
    pid = step_pid(node, name)
    assert pid is not None
    if kind == "cancel":
        time.sleep(limit_s)
        ask_to_cancel(node, name)
    if not listens:
        wait_for(lambda: not psutil.pid_exists(pid))
        assert time.monotonic() - limit_at > GRACE_S, "it had no grace"
    first = node.pop()
    gone_at = time.monotonic()
    assert was_killed(node, name) is not listens
    ended = (first["experiment_id"], first["status"], first["error"]["code"], first["attempt"])
    how = ("FAILED", "timeout") if kind == "timeout" else ("CANCELLED", "cancelled")
    assert ended == (name, *how, 1)
    second = node.pop()
    assert (second["experiment_id"], second["status"]) == (behind, "SUCCEEDED")
    return gone_at - limit_at, time.monotonic() - gone_at


def was_killed(node: Node, name: str) -> bool:
    """True if the agent reports that it killed this experiment's process."""
    said = (node.workdir / "logs" / "agent.log").read_text(encoding="utf-8")
    return f"{name}/1/1: killing process" in said


def test_a_time_limit_leaves_a_failure_bundle(node: Node) -> None:
    result = node.run("late", {**long_training(100_000, seed=9), "run": {"timeout_s": 2}})
    assert (result["status"], result["error"]["code"]) == ("FAILED", "timeout")
    bundle = node.workdir / "failures" / "late-g1.json"
    wait_for(bundle.is_file)  # the result does not wait for it
    assert json.loads(bundle.read_text(encoding="utf-8"))["error"]["code"] == "timeout"


def test_a_node_that_is_stopped_in_a_training_continues_it_without_counting_a_loss(node: Node) -> None:
    node.push("stopped", long_training(400, seed=3))  # it must not end in the seconds that a stop gives it
    wait_for(lambda: in_training(node, "stopped"))
    assert node.stop() < STOP_WITHIN_S
    node.log.unlink()
    node.start()
    result = node.pop()
    assert (result["experiment_id"], result["status"], result["attempt"]) == ("stopped", "SUCCEEDED", 2)
    assert rows(node, "state.db", "SELECT losses FROM generations WHERE experiment_id = 'stopped'") == [(0,)]
    open_runs = "SELECT run_id FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
    assert rows(node, "dagster_home/runs.db", open_runs) == []
