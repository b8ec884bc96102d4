"""A Redis that is slow, stalls or is full while a whole node works: each message has one right result.

With CHAOS_FULL only. The node reaches the server through a slow link; the Master of the test, who counts, does not.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import Campaign, environment
from proteinx_pipelines_tests.chaos.redis_campaign import RemoteNode
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.slow_link import SlowLink
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed
from proteinx_pipelines_tests.story.conftest import DEMO

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=slow_and_full_redis"),
]
MESSAGES = how_many(30)
SLOW_S = 0.3
"""Seconds by which each piece of data is late while the link is slow; about ten pieces make one experiment wait."""


class LinkedNode(RemoteNode):
    """A node that reaches its Redis through the link; the test's Master has a way of its own."""

    def __init__(self, workdir: Path, link: SlowLink, server: RedisServer, more: dict[str, str]) -> None:
        super().__init__(workdir, {**more, "REDIS_URL": f"redis://127.0.0.1:{link.port}/0"})
        self._server = server

    @property
    def redis(self):
        """The Master's own connection."""
        return self._server.client


@dataclass(kw_only=True)
class SlowCampaign(Campaign):
    """A campaign whose faults are those of the server and its link; each ends before the next begins."""

    link: SlowLink
    server: RedisServer

    def _strike(self, chance: random.Random) -> None:
        fault = chance.choice([self._slow, self._stall, self._full])
        self.kills[fault.__name__.strip("_")] += 1
        fault(chance.uniform(3.0, 12.0))

    def _slow(self, seconds: float) -> None:
        self.link.delay_s = SLOW_S
        time.sleep(seconds)
        self.link.delay_s = 0.0

    def _stall(self, seconds: float) -> None:
        self.link.stalled.set()
        time.sleep(seconds)
        self.link.stalled.clear()

    def _full(self, seconds: float) -> None:
        self.server.client.config_set("maxmemory", "1")
        time.sleep(seconds)
        self.server.client.config_set("maxmemory", "0")


def test_a_slow_a_stalling_and_a_full_redis_cost_nobody_a_result(
    tmp_path: Path, server: RedisServer, request: pytest.FixtureRequest
) -> None:
    workdir = tmp_path / "w"
    workdir.mkdir()
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    link = SlowLink(server.port)
    request.addfinalizer(link.close)
    node = LinkedNode(workdir, link, server, {**environment(workdir), "PROTEINX_NODE_NAME": "slow"})
    node.start()
    try:
        campaign = SlowCampaign(
            node, MESSAGES, every_s=4.0, seed=printed_seed("slow_and_full_redis"), link=link, server=server
        )
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        node.stop()
