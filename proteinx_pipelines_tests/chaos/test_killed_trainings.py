"""Trainings whose process is killed again and again, on a whole node: the same bits as if nothing had happened.

The strong form, ten kills instead of two, and one split as well as folds, is `make chaos SCENARIO=killed_trainings`.
A training begins anew without its checkpoints: `execution/test_trainings_continue` shows that without a node.
"""

import json
import math
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import SOURCE, part_process, rows
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
FOLDS = 3
EPOCHS_OF_A_KILL = 30
"""Epochs that a training needs for each kill in it: on a fast machine, more than pass in a second."""
SPLITS: dict[str, dict[str, Any]] = {"folds": {"split": {"folds": FOLDS}}, "one split": {}}
"""The first one alone in the short form: it continues inside of a fold as the second one does."""


def flags_for(split: str, kills: int) -> dict[str, Any]:
    """A training in each fold of which there is time for its share of the kills."""
    folds = FOLDS if split == "folds" else 1
    epochs = EPOCHS_OF_A_KILL * (1 + math.ceil(kills / folds))
    return {
        "data": {"source": SOURCE}, "model": {"name": "mlp"}, "evaluate": {"bootstrap": 10, "plots": False},
        "train": {"max_epochs": epochs, "patience": None}, **SPLITS[split],
    }  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    workdir = tmp_path_factory.mktemp("node")
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    found = Node(workdir, {"OMP_NUM_THREADS": "1"})
    found.start()
    yield found
    found.stop()


def run_with_kills(node: Node, name: str, flags: dict[str, Any], kills: int, seed: int) -> dict[str, Any]:
    """Kill the step process at random moments of its training, some in each fold; the result in the end."""
    chance = random.Random(seed)
    node.push(name, flags)
    folds = flags.get("split", {}).get("folds", 1)
    for number in range(1, kills + 1):
        wait_for_epoch(node, name, attempt=number, fold=number * folds // (kills + 1))
        time.sleep(chance.uniform(0.0, 1.0))
        process = part_process(node, "step process")
        assert process is not None
        process.send_signal(signal.SIGKILL)
    return result(node)


def result(node: Node) -> dict[str, Any]:
    """The next result: a training of many epochs takes longer than a Master's patience."""
    for _ in range(6):
        found = node.redis.brpop(["experiments:results"], timeout=100)
        if found is not None:
            return dict(json.loads(found[1]))
    raise AssertionError("no result came")


def wait_for_epoch(node: Node, name: str, attempt: int, fold: int) -> None:
    """Wait until an attempt has finished an epoch of its own, in this fold or a later one."""
    end = time.monotonic() + 240
    while not any(line["attempt"] == attempt and (line["fold"] or 0) >= fold for line in losses(node, name)):
        assert time.monotonic() < end, f"attempt {attempt} of {name} did not train"
        time.sleep(0.02)


def metrics(node: Node, name: str) -> list[dict[str, Any]]:
    """Whole lines of `metrics.jsonl`; a kill may leave half a line, which readers drop."""
    path = node.experiment(name) / "metrics" / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines if line]


def losses(node: Node, name: str) -> list[dict[str, Any]]:
    """The training loss of each epoch."""
    return [
        line for line in metrics(node, name) if line["name"] == "train/loss" and line.get("epoch") is not None
    ]


def left(node: Node, name: str) -> dict[str, Any]:
    """Output of an experiment: bytes of weights and predictions, scores, and the last value of every metric."""
    root = node.experiment(name)
    kept = [path for path in root.rglob("*") if path.suffix in (".safetensors", ".parquet")]
    found: dict[str, Any] = {path.relative_to(root).as_posix(): path.read_bytes() for path in kept}
    report = json.loads((root / "artifacts" / "report.json").read_text(encoding="utf-8"))
    values = {
        tuple(line.get(key) for key in ("name", "fold", "epoch", "step")): line.get(
            "value", line.get("histogram")
        )
        for line in metrics(node, name)
    }
    return {**found, "summary": report["summary"], "metrics": values}


@pytest.mark.parametrize("split", [*SPLITS][: how_often(1, 2)])
def test_killed_trainings_leave_what_an_uninterrupted_one_leaves(node: Node, split: str) -> None:
    kills, seed = how_often(2, 10), printed_seed(f"kills in a training, {split}")
    names = [f"{split}-{which}".replace(" ", "-") for which in ("killed", "whole")]
    flags = flags_for(split, kills)
    ended = run_with_kills(node, names[0], flags, kills, seed)
    assert (ended["status"], ended["attempt"]) == ("SUCCEEDED", kills + 1)
    query = f"SELECT failures, losses FROM generations WHERE experiment_id = '{names[0]}'"
    assert rows(node, "state.db", query) == [(0, kills)]
    # `resume` false: or it would take over what the first one has computed.
    node.push(names[1], {**flags, "run": {"resume": False}})
    assert result(node)["status"] == "SUCCEEDED"
    killed, whole = (left(node, name) for name in names)
    assert killed.keys() == whole.keys()
    assert [name for name in whole if killed[name] != whole[name]] == []
    assert nothing_was_trained_again(losses(node, names[0]))


def nothing_was_trained_again(lines: list[dict[str, Any]]) -> bool:
    """True if each attempt continued at the previous one's point: in the same fold, with the same epoch."""
    at = (0, 0)
    for line in lines:
        here = (line["fold"] or 0, line["epoch"])
        if here < at:
            return False
        at = here
    return True


def test_an_epoch_that_is_trained_again_is_seen() -> None:
    """Or nothing would follow from the above."""
    folds = [{"fold": fold, "epoch": epoch} for fold in range(2) for epoch in range(3)]
    assert nothing_was_trained_again(folds)
    assert not nothing_was_trained_again([*folds[:3], {"fold": 0, "epoch": 1}])
    assert not nothing_was_trained_again([*folds, {"fold": 0, "epoch": 2}])
