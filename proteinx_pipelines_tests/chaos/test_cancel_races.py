"""Cancels that race with their experiments, from before the message is there until after the end.

Whoever wins, there is one result, the state, the status hash and the directory say the same, and the next generation is
not cancelled by a cancel that came too late. The strong form, 40 races, is `make chaos SCENARIO=cancel_races`; what a
late cancel would do without its guard is in `node/test_stopper`.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import SOURCE, rows
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import DEMO, UP, Node

pytestmark = pytest.mark.story
RACES = how_often(6, 40)
LONGEST_S = 2.0
"""Most seconds between a message and its cancel; a small experiment takes less."""
with_a_master = pytest.mark.skipif(
    not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=cancel_races"
)
CODES = {"SUCCEEDED": None, "CANCELLED": "cancelled"}


@pytest.mark.parametrize("who", ["--node-only", pytest.param("--with-master", marks=with_a_master)])
def test_a_cancel_that_races_leaves_one_result_and_one_truth(tmp_path: Path, who: str) -> None:
    import_file(tmp_path / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    node, chance = (
        Node(tmp_path, {"OMP_NUM_THREADS": "1", "PROTEINX_NODE_NAME": "races"}),
        random.Random(printed_seed("cancel_races")),
    )
    won: Counter[str] = Counter()
    node.start(*UP, who)
    try:
        for k in range(RACES):
            won[race(node, f"race-{k}", k, chance)] += 1
        time.sleep(2.0)  # a second copy of something would come now
        assert node.redis.llen("experiments:results") == 0
    finally:
        node.stop()
    sys.stdout.write(f"{RACES} races: {dict(won)}\n")


def race(node: Node, name: str, k: int, chance: random.Random) -> str:
    """One race; its status."""
    flags = {
        "data": {"source": SOURCE, "limit": 300},
        "split": {"seed": 1000 + k},
        "evaluate": {"bootstrap": 0},
    }
    late_s = chance.uniform(-0.2, LONGEST_S)
    cancel = threading.Timer(max(0.0, late_s), lambda: node.redis.lpush("experiments:cancel", name))
    cancel.start()
    time.sleep(max(0.0, -late_s))
    node.push(name, flags)
    result = node.pop()
    cancel.join()
    code = (result["error"] or {}).get("code")
    assert (result["experiment_id"], result["generation"], code) == (name, 1, CODES[result["status"]])
    time.sleep(1.0)  # a cancel that came last is looked at now
    assert node.redis.hget(f"experiments:status:{name}", "state") == result["status"].encode()
    known = rows(node, "state.db", f"SELECT state FROM generations WHERE experiment_id = '{name}'")
    given = result["node"] == "races"  # a Master answers for what it has not given to a node
    assert known == ([(result["status"],)] if given else [])
    document = node.experiment(name) / "experiment.json"
    if given and (document.is_file() or result["status"] == "SUCCEEDED"):  # what never began has no directory
        assert json.loads(document.read_text(encoding="utf-8"))["status"] == result["status"]
    again = node.run(name, {**flags, "run": {"allow_duplicate": True}})
    assert (again["generation"], again["status"]) == (2 if given else 1, "SUCCEEDED")
    assert again["result_id"] != result["result_id"]
    return str(result["status"])
