"""A run that somebody starts in the web interface, on a whole real node, with an experiment of the queue behind it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines_tests.story.conftest import Node

pytestmark = pytest.mark.story
SOURCE = "GB1_Nisthal_2019"
ENDLESS = {
    "model": {"name": "mlp", "hidden_dims": [8]},
    "train": {"max_epochs": 100_000, "patience": None},
}

ENDED = {"CANCELED", "FAILURE", "SUCCESS"}
TROUBLE = "print([entry.user_message or entry.message for entry in instance.all_logs(sys.argv[1])])"


def dagster(node: Node, code: str, *arguments: str) -> str:
    """Run a few lines on the node's history; what they print."""
    environment = {**node.environment, "DAGSTER_HOME": str(node.workdir / "dagster_home")}
    words = [sys.executable, "-c", f"import sys, dagster as dg\ninstance = dg.DagsterInstance.get()\n{code}"]
    done = subprocess.run([*words, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def launch_by_hand(node: Node, experiment_id: str) -> str:
    """Do what *Materialize all* does; returns the run's id."""
    environment = {**node.environment, "DAGSTER_HOME": str(node.workdir / "dagster_home")}
    words = ["-m", "dagster", "job", "launch", "-m", "proteinx_pipelines.definitions", "-j", "experiment"]
    tags = json.dumps({"dagster/partition": experiment_id})
    subprocess.run(
        [sys.executable, *words, "--tags", tags],
        env=environment,
        cwd=node.workdir,
        check=True,
        capture_output=True,
    )
    ((run_id,),) = node.history("runs.db", "SELECT run_id FROM runs ORDER BY id DESC LIMIT 1")
    return str(run_id)


def until(node: Node, run_id: str, *wanted: str) -> str:
    """Wait for one of these statuses."""
    end = time.monotonic() + 120
    while True:
        ((status,),) = node.history("runs.db", "SELECT status FROM runs WHERE run_id = ?", run_id)
        if status in wanted:
            return str(status)
        assert time.monotonic() < end, f"the run is {status}"
        assert status not in ENDED, dagster(node, TROUBLE, run_id)
        time.sleep(0.5)


def test_a_run_by_hand_is_terminated_and_what_waited_behind_it_loses_nothing(
    start_node: Callable[..., Node],
) -> None:
    """Once, such a run could not be ended. `node/test_reconciler` shows that a long wait costs no attempt either."""
    node = start_node(PROTEINX_NODE_NAME="by-hand")
    quick = {"data": {"source": SOURCE}, "evaluate": {"bootstrap": 0}}
    assert node.run("hand", quick)["status"] == "SUCCEEDED"
    written = node.experiment("hand") / "config" / "flags.json"
    document = read_json(written)
    for group, values in ENDLESS.items():
        document[group].update(values)
    write_json(written, document)
    run_id = launch_by_hand(node, "hand")
    until(node, run_id, "STARTED")
    metrics = node.experiment("hand") / "metrics" / "metrics.jsonl"
    end = time.monotonic() + 120
    while not (metrics.is_file() and metrics.stat().st_size):
        assert time.monotonic() < end, node.log.read_text(encoding="utf-8")
        time.sleep(0.2)
    node.push("behind", {**quick, "split": {"seed": 3}})
    terminate = "print(instance.run_launcher.terminate(sys.argv[1]))"
    assert dagster(node, terminate, run_id) == "True"
    result = node.pop()
    assert (result["experiment_id"], result["status"], result["attempt"]) == ("behind", "SUCCEEDED", 1)
    assert until(node, run_id, *ENDED) == "CANCELED"
