"""A whole node whose disk becomes full in a training and while messages wait: Dagster's history is on that disk too.

The strong form, with CHAOS_FULL only; one process on a full disk at each of its writes is in `test_disk_full`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.chaos.test_disk_full import needs_a_small_disk
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.story.conftest import REPOSITORY

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=disk_full"),
]
MODULE = "proteinx_pipelines_tests.chaos.disk_full_node"


def test_a_node_on_a_full_disk_fails_what_it_trains_and_serves_the_rest_when_there_is_room(
    tmp_path: Path, redis_url: str
) -> None:
    needs_a_small_disk()
    connect(redis_url).flushdb()
    command = ["unshare", "-rm", sys.executable, "-m", MODULE, str(tmp_path), redis_url]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-10_000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["results"].pop("long") == ["FAILED", "disk_full"]
    good = ["SUCCEEDED", None]
    assert found["results"] == {"before": good, "between": good, "meanwhile": good, "after": good}
    assert (found["alive"], found["unsound"]) == (True, {})
    assert found["databases"] >= 3, "state.db and Dagster's own"
