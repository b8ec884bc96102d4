"""`state.db` locked by another program for longer than any part waits: what runs and what arrives loses nothing.

With CHAOS_FULL only. One statement on a busy database is in `ledger/`; a full disk under it in `test_disk_full_node`.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import OPEN_GENERATIONS, OPEN_RUNS, campaign_node, rows
from proteinx_pipelines_tests.chaos.test_stops import QUICK, in_training, long_training, wait_for
from proteinx_pipelines_tests.chaos.trials import how_often

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=locked_state"),
]
LOCKED_S = 75.0
"""Seconds that it is locked; a part waits 30 s for a lock."""


def test_a_state_db_that_is_locked_for_a_while_costs_nobody_a_result(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        node.push("long", long_training(300, seed=1))
        wait_for(lambda: in_training(node, "long"))
        with closing(sqlite3.connect(tmp_path / "state.db", timeout=60, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            node.push("meanwhile", {**QUICK, "split": {"seed": 2}})
            time.sleep(LOCKED_S)
            holder.execute("ROLLBACK")
        answers = [node.pop() for _ in range(2)]
        assert {answer["experiment_id"]: answer["status"] for answer in answers} == {
            "long": "SUCCEEDED", "meanwhile": "SUCCEEDED",
        }  # fmt: skip
        assert node.run("after", {**QUICK, "split": {"seed": 3}})["status"] == "SUCCEEDED"
        time.sleep(5.0)  # a second copy of something would come now
        assert node.redis.llen("experiments:results") == 0
        assert rows(node, "state.db", OPEN_GENERATIONS) == []
        assert rows(node, "dagster_home/runs.db", OPEN_RUNS) == []
    finally:
        node.stop()
