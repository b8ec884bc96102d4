"""A stage that lasts longer than Celery's visibility time-out: its task is delivered again, and executed once.

This is the strong form: as shipped, the time-out is 30 days. A Redis that loses or repeats messages is in
`test_redis_faults`; both with and without the claim, in one process, in `node/test_what_guards_a_node`.
"""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import HERE, SOURCE, environment, journal
from proteinx_pipelines_tests.chaos.trials import waits_in_vain
from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
LONG_S = 5
FLAGS = {"data": {"source": SOURCE, "limit": 300}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 0}}


def deliveries(workdir: Path, early: str) -> Counter[str]:
    """Deliveries and executions of one long experiment's task, on a node with a time-out of 2 s."""
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    given = environment(workdir)
    paths = os.pathsep.join([str(HERE / "early"), given["PYTHONPATH"]])
    own = {
        "PYTHONPATH": paths,
        "PROTEINX_PLUGINS": "chaos_long",
        "CHAOS_EARLY": early,
        "CHAOS_LONG_S": str(LONG_S),
    }
    node = Node(workdir, {**given, **own})
    node.start()
    try:
        result = node.run("long", FLAGS)
        assert (result["status"], result["attempt"]) == ("SUCCEEDED", 1)
        end = time.monotonic() + 15
        while found(node)["delivered"] < 2 and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(2)
        assert node.redis.llen("experiments:results") == 0
        return found(node)
    finally:
        node.stop()


def found(node: Node) -> Counter[str]:
    return Counter(fact["event"] for fact in journal(node))


def test_a_task_that_redis_delivers_again_while_it_is_executed_is_executed_once(tmp_path: Path) -> None:
    counts = deliveries(tmp_path, "chaos_redelivery")
    assert counts["delivered"] >= 2, "nothing was delivered again: this test would see nothing"
    assert (counts["executed"], counts["overlap"]) == (1, 0)


@waits_in_vain
def test_without_the_claim_it_would_be_executed_again(tmp_path: Path) -> None:
    assert deliveries(tmp_path, "chaos_redelivery,unguarded_claims")["executed"] >= 2
