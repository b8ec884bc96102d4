"""A fleet under faults of its nodes and of its store: `make chaos SCENARIO=fleet`, 200 jobs; JOBS=24 for fewer.

What each fault does alone is told by quicker tests (`files/`, `execution/`, `story/test_machines_share_a_store.py`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.files.blobs.opening import open_blobs
from proteinx_pipelines.files.shared.pushing import push_file
from proteinx_pipelines_tests.chaos.fleet_campaign import CACHE_GB, KINDS, FleetCampaign
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterProcess
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.trials import how_many_jobs, how_often, printed_seed
from proteinx_pipelines_tests.object_servers import ObjectServer, Proxy, proxy_to, serve_s3

JOBS = how_many_jobs(200)
EVERY_KIND_FROM = 24
"""Jobs from which on there are as many faults as kinds; fewer have four of them, by chance."""
pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(
        not how_often(0, 1), reason="with CHAOS_FULL only: four nodes need 2 GB and many minutes"
    ),
]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[ObjectServer]:
    with serve_s3(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def proxy(s3: ObjectServer) -> Iterator[Proxy]:
    with proxy_to(s3) as found:
        yield found


@pytest.fixture
def made(
    tmp_path: Path, master: MasterProcess, s3: ObjectServer, proxy: Proxy
) -> Iterator[tuple[list[JoinedNode], Callable[[], JoinedNode]]]:
    nodes: list[JoinedNode] = []

    def make() -> JoinedNode:
        environment = {
            "PROTEINX_STORE": s3.url, "PROTEINX_CACHE_MAX_GB": str(CACHE_GB), **s3.environment(proxy.endpoint)
        }  # fmt: skip
        nodes.append(JoinedNode.with_gb1(tmp_path / f"node-{len(nodes)}", master.url, environment))
        return nodes[-1]

    yield nodes, make
    for node in nodes:
        node.kill()


def test_every_job_has_one_result_and_every_file_is_in_the_store(
    master: MasterProcess,
    made: tuple[list[JoinedNode], Callable[[], JoinedNode]],
    server: RedisServer,
    s3: ObjectServer,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    _all, make = made
    blobs, nodes = open_blobs(s3.url), [make() for _ in range(4)]
    payload = push_file(blobs, nodes[0].workdir / "database.db")
    for node in nodes:
        node.begin()
    campaign = FleetCampaign(
        master=master, nodes=nodes, server=server, jobs=JOBS,
        kills=max(len(KINDS) if JOBS >= EVERY_KIND_FROM else 4, JOBS // 6),
        every_s=15.0 if JOBS >= 100 else 6.0, seed=printed_seed("fleet"), s3=s3, proxy=proxy, blobs=blobs,
        payload=payload, away_s=max(8.0, min(60.0, JOBS / 2)), add=make,
    )  # fmt: skip
    assert campaign.run(max(900.0, 16.0 * JOBS)) == []
    if JOBS >= EVERY_KIND_FROM:
        assert set(campaign.killed) == set(KINDS)
