"""A Master, two nodes and Redis killed at random while people change the line: every job has exactly one result.

The strong form is `make chaos SCENARIO=master`: 200 jobs. The protocol itself, at every point and with its guards off,
is in `master/dispatch`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterCampaign, MasterProcess, clean
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import DEMO

NAMES = ("left", "right")


@pytest.fixture
def master(tmp_path: Path, server: RedisServer) -> Iterator[MasterProcess]:
    found = MasterProcess(tmp_path / "master", server, clean(os.environ))
    found.start()
    yield found
    found.kill()


@pytest.fixture
def nodes(tmp_path: Path, master: MasterProcess) -> Iterator[list[JoinedNode]]:
    found = []
    for name in NAMES:
        workdir = tmp_path / name
        workdir.mkdir()
        import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
        found.append(JoinedNode(workdir, {"OMP_NUM_THREADS": "1"}, master.url, name))
        found[-1].begin()
    yield found
    for node in found:
        node.kill()


@pytest.mark.story
@pytest.mark.timeout(3900)
def test_every_job_has_one_result_whatever_dies(
    master: MasterProcess, nodes: list[JoinedNode], server: RedisServer
) -> None:
    jobs = how_many(how_often(7, 200))
    campaign = MasterCampaign(
        master=master,
        nodes=nodes,
        server=server,
        jobs=jobs,
        kills=jobs * 3 // 10,
        every_s=float(how_often(4, 10)),
        seed=printed_seed("Master"),
    )
    assert campaign.run(how_often(600, 3600)) == []
    assert master.stop() == 0
