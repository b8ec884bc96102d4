"""A training on two nodes that a Master has chosen, one of which loses its rank: `make chaos SCENARIO=crews`, minutes.

Master, Redis and both nodes are real, and nothing is said to either node: the Master chooses who has the experiment and
who lends its machine. What the Master decides is in `master/dispatch/test_crews`, that the weights are those of one
machine in `execution/test_many_nodes`.
"""

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest

from proteinx_pipelines_tests.chaos.campaign import SOURCE
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterProcess
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.story.conftest import family_of
from proteinx_pipelines_tests.waiting import wait_until

wait = partial(wait_until, within_s=600.0, pause_s=0.2)
FLAGS: dict[str, Any] = {
    "data": {"source": SOURCE, "limit": 200},
    "split": {"method": "random"},
    "model": {"name": "mlp"},
    "train": {"max_epochs": 60, "patience": None},
    "trainer": {"accelerator": "cpu", "num_nodes": 2},
    "evaluate": {"bootstrap": 0, "plots": False},
}
pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not how_often(0, 1), reason="with CHAOS_FULL only: two nodes, four ranks"),
]


def ranks(node: JoinedNode) -> list[psutil.Process]:
    """The ranks that a node lends."""
    assert node.process is not None
    found = []
    for each in family_of(node.process.pid):
        with contextlib.suppress(psutil.Error):
            if any(word.endswith("ddp_process") for word in each.cmdline()):
                found.append(each)
    return found


def test_a_master_brings_two_nodes_together_and_a_killed_rank_costs_an_attempt(
    master: MasterProcess, nodes: list[JoinedNode]
) -> None:
    def ask(path: str, **more: Any) -> Any:
        answer = httpx.request("POST" if more else "GET", f"{master.url}/api{path}", timeout=60, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    for node in nodes:
        node.begin()
    wait(lambda: sum(node["takes_jobs"] for node in ask("/nodes")["items"]) == 2)
    job = str(ask("/jobs", json={"experiment_id": "many", "flags": FLAGS})["job_id"])
    wait(lambda: ask(f"/jobs/{job}")["node"])
    home = ask(f"/jobs/{job}")["node"]
    first = next(node for node in nodes if node.name == home)
    other = next(node for node in nodes if node.name != home)
    assert ask(f"/nodes/{other.name}")["lends_to"]["job_id"] == job
    wait(lambda: list(first.workdir.glob("staging/*/many/ckpts/last.ckpt")))
    wait(lambda: ranks(other))
    for each in ranks(other):
        each.kill()
    wait(lambda: ask(f"/jobs/{job}")["finished_at"])
    result = ask(f"/jobs/{job}")
    assert (result["state"], result["node"]) == ("SUCCEEDED", home), result
    wait(lambda: ask(f"/nodes/{other.name}")["lends_to"] is None)
    wait(lambda: not ranks(other))
    assert attempts(first.experiment("many")) >= 2


def attempts(folder: Path) -> int:
    return int(json.loads((folder / "experiment.json").read_text(encoding="utf-8"))["attempt"])
