"""`rm -r run/` beside a living node, then a second `proteinx up`: one node stays, and none of its work is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import SOURCE, Campaign, campaign_node, rows
from proteinx_pipelines_tests.chaos.test_stops import wait_for
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import ANSWER_WITHIN_S, DEMO, UP, Node

pytestmark = pytest.mark.story
EXPERIMENTS = 10


def test_a_node_whose_run_folder_is_removed_goes_on_alone(tmp_path: Path) -> None:
    import_file(tmp_path / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    node = Node(tmp_path, {"OMP_NUM_THREADS": "1"})
    node.start()
    try:
        redis = node.redis  # its address is in the folder
        for k in range(EXPERIMENTS):
            flags = {"data": {"source": SOURCE}, "model": {"name": "ridge"}, "split": {"seed": k}}
            node.push(f"e{k}", {**flags, "evaluate": {"bootstrap": 10}})
        wait_for(lambda: rows(node, "state.db", "SELECT 1 FROM generations WHERE state = 'RUNNING'"))
        # In one step: the node, which writes into the folder all the time, could put a file into it between two.
        shutil.rmtree((tmp_path / "run").rename(tmp_path / "removed"))
        second = subprocess.run(
            [sys.executable, *UP], env=node.environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=ANSWER_WITHIN_S, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "is held by process" in second.stderr
        answers = []
        for _ in range(EXPERIMENTS):
            found = redis.brpop(["experiments:results"], timeout=ANSWER_WITHIN_S)
            assert found is not None
            answers.append(json.loads(found[1]))
        assert [(answer["status"], answer["attempt"]) for answer in answers] == [
            ("SUCCEEDED", 1)
        ] * EXPERIMENTS
        wait_for(lambda: (tmp_path / "run" / "redis.json").is_file())
        assert node.run("after", {"data": {"source": SOURCE}, "model": {"name": "ridge"}})["attempt"] == 1
    finally:
        node.stop()


@pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=removed_run")
def test_a_run_folder_removed_again_and_again_between_kills_costs_nobody_a_result(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        campaign = Campaign(
            node, how_many(40), every_s=6.0, seed=printed_seed("removed_run"), faults=("run", "kill")
        )
        assert campaign.run(within_s=3600) == []
    finally:
        node.stop()
