"""Cancels, time limits, a killed training and a stopped node, on a whole running node."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import HERE, SOURCE, part_process, rows
from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
QUICK = {"data": {"source": SOURCE}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 10}}
LIMIT_S = 30.0
"""A process that was told to stop is gone within this time after its limit."""


def long_training(epochs: int, seed: int) -> dict[str, Any]:
    """A training that another one's result in the store does not spare."""
    train = {"max_epochs": epochs, "patience": epochs, "seed": seed}
    return {**QUICK, "model": {"name": "mlp"}, "train": train}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    workdir = tmp_path_factory.mktemp("node")
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    environment = {"PYTHONPATH": str(HERE), "PROTEINX_PLUGINS": "chaos_stubborn", "OMP_NUM_THREADS": "1"}
    found = Node(workdir, environment)
    found.start()
    yield found
    found.stop()


def wait_for(what: Callable[[], Any], within_s: float = 60.0) -> float:
    """Wait until something is true; the seconds it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, "it did not happen"
        time.sleep(0.05)
    return time.monotonic() - began


def in_training(node: Node, name: str) -> bool:
    query = f"SELECT progress FROM generations WHERE experiment_id = '{name}' AND stage = 'train' AND progress > 0"
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


def test_a_stage_that_does_not_listen_is_killed_after_its_time_limit(node: Node) -> None:
    node.push("stubborn-1", {**QUICK, "run": {"timeout_s": 2, "retries": 3}})
    node.push("after-stubborn", {**QUICK, "split": {"seed": 3}})
    wait_for(lambda: step_pid(node, "stubborn-1"))
    pid = step_pid(node, "stubborn-1")
    assert pid is not None
    assert wait_for(lambda: not psutil.pid_exists(pid)) < 2 + LIMIT_S
    first, second = node.pop(), node.pop()
    assert (first["experiment_id"], first["status"], first["error"]["code"]) == (
        "stubborn-1",
        "FAILED",
        "timeout",
    )
    assert (first["attempt"], second["status"]) == (1, "SUCCEEDED")
    bundle = json.loads((node.workdir / "failures" / "stubborn-1-g1.json").read_text(encoding="utf-8"))
    assert bundle["error"]["code"] == "timeout"


def test_a_killed_training_continues_from_its_checkpoint_and_uses_no_retry(node: Node) -> None:
    node.push("killed", long_training(150, seed=2))
    staging = node.workdir / "staging"
    wait_for(lambda: list(staging.rglob("killed/ckpts/last.ckpt")))
    process = part_process(node, "step process")
    assert process is not None
    process.send_signal(signal.SIGKILL)
    result = node.pop()
    assert (result["status"], result["attempt"]) == ("SUCCEEDED", 2)
    lines = (node.experiment("killed") / "metrics" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    epochs = [
        line["epoch"]
        for line in map(json.loads, lines)
        if line["name"] == "train/loss" and line["attempt"] == 2
    ]
    assert min(epoch for epoch in epochs if epoch is not None) > 0, "the second attempt began anew"
    assert rows(
        node, "state.db", "SELECT failures, losses FROM generations WHERE experiment_id = 'killed'"
    ) == [(0, 1)]


def test_a_node_that_is_stopped_in_a_training_continues_it_without_counting_a_loss(node: Node) -> None:
    node.push("stopped", long_training(150, seed=3))
    wait_for(lambda: in_training(node, "stopped"))
    assert node.stop() < LIMIT_S
    node.log.unlink()
    node.start()
    result = node.pop()
    assert (result["experiment_id"], result["status"], result["attempt"]) == ("stopped", "SUCCEEDED", 2)
    assert rows(node, "state.db", "SELECT losses FROM generations WHERE experiment_id = 'stopped'") == [(0,)]
    open_runs = "SELECT run_id FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
    assert rows(node, "dagster_home/runs.db", open_runs) == []
