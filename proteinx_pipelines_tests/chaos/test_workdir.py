"""WORKDIR renamed, and read-only, under a living node: it makes no second one, and goes on when it is back.

With CHAOS_FULL only: each fault lasts a quarter of a minute, in a training and with a message waiting.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import HERE, OPEN_GENERATIONS, SOURCE, rows
from proteinx_pipelines_tests.chaos.redis_campaign import RemoteNode, redis_node
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.test_stops import in_training, long_training, wait_for
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.story.conftest import DEMO, UP

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=workdir"),
    pytest.mark.skipif(sys.platform != "linux", reason="capabilities of Linux"),
]
AWAY_S = 15.0
"""Seconds that WORKDIR is away."""
OBEYS_PERMISSIONS = (
    "import ctypes, os, sys\n"
    "prctl = ctypes.CDLL(None).prctl\n"
    "for capability in (1, 2): prctl(24, capability, 0, 0, 0)\n"  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    f"os.execv(sys.executable, [sys.executable, *{UP!r}])"
)
"""Starts the node without root's right to write where nobody may."""


def quick(seed: int) -> dict[str, Any]:
    return {"data": {"source": SOURCE}, "split": {"seed": seed}, "evaluate": {"bootstrap": 10}}


@pytest.fixture
def node(tmp_path: Path, server: RedisServer, request: pytest.FixtureRequest) -> Iterator[RemoteNode]:
    workdir = tmp_path / "w"
    workdir.mkdir()
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    path = os.pathsep.join([str(HERE / "early"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    early = getattr(request, "param", "")
    found = redis_node(workdir, server, {"PYTHONPATH": path, "CHAOS_EARLY": early, "OMP_NUM_THREADS": "1"})
    found.log = tmp_path / "up.log"
    found.start("-c", OBEYS_PERMISSIONS)
    yield found
    found.stop()


@contextmanager
def renamed(workdir: Path) -> Iterator[None]:
    elsewhere = workdir.with_name("elsewhere")
    workdir.rename(elsewhere)
    yield
    assert not workdir.exists(), f"made again: {sorted(map(str, workdir.rglob('*')))}"
    elsewhere.rename(workdir)


@contextmanager
def read_only(workdir: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in [workdir, *workdir.rglob("*")] if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    yield
    for path, mode in modes.items():
        if path.exists():
            path.chmod(mode)


@pytest.mark.parametrize("fault", [renamed, read_only])
def test_a_workdir_that_is_away_for_a_while_is_not_made_again_and_loses_nothing(
    node: RemoteNode, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    assert node.run("before", quick(0))["status"] == "SUCCEEDED"
    node.push("long", long_training(300, seed=1))
    wait_for(lambda: in_training(node, "long"), 120)
    with fault(node.workdir):
        node.push("meanwhile", quick(2))
        time.sleep(AWAY_S)
    answers = [node.pop() for _ in range(2)]
    assert {answer["experiment_id"]: (answer["status"], answer["error"]) for answer in answers} == {
        "long": ("SUCCEEDED", None), "meanwhile": ("SUCCEEDED", None),
    }  # fmt: skip
    assert node.run("after", quick(3))["status"] == "SUCCEEDED"
    time.sleep(5.0)  # a second copy of something would come now
    assert node.redis.llen("experiments:results") == 0
    assert rows(node, "state.db", OPEN_GENERATIONS) == []
    assert rows(node, "state.db", "SELECT count(*) FROM generations") == [(4,)]
