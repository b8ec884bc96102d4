"""A Master, two nodes and Redis killed at random while people change the line: every job has exactly one result.

The strong form is `make chaos SCENARIO=master`: 200 jobs. The protocol itself, at every point and with its guards off,
is in `master/dispatch`.
"""

import pytest

from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterCampaign, MasterProcess
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed


@pytest.mark.story
@pytest.mark.timeout(3900)
def test_every_job_has_one_result_whatever_dies(
    master: MasterProcess, nodes: list[JoinedNode], server: RedisServer
) -> None:
    for node in nodes:
        node.begin()
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
