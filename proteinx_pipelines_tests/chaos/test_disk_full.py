"""A disk that is really full (a small tmpfs): a clean FAILED, a sound state.db, and the next generation succeeds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines.inbox.queue import connect

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("disk_full.py")
PAGES = 16_384
"""What is left free, in bytes: some writes of a stage fit, its files do not."""


@pytest.fixture(autouse=True)
def _own_mounts() -> None:
    tried = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if not tried or tried.returncode:
        pytest.skip("needs `unshare -rm` for a small disk of its own, which is not allowed here")


@pytest.mark.parametrize(
    ("stage", "kept"), [("selection", PAGES), ("embedding", 0), ("train", PAGES), ("train", 0)]
)
def test_a_full_disk_fails_the_experiment_and_nothing_else(
    tmp_path: Path, redis_url: str, stage: str, kept: int
) -> None:
    connect(redis_url).flushdb()
    command = ["unshare", "-rm", sys.executable, str(SCRIPT), str(tmp_path), redis_url, stage, str(kept)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["first"][:2] == ["FAILED", "disk_full"], found
    assert found["second"] == ["SUCCEEDED", None]
    assert (found["sound"], found["reserve"], found["partial"]) == ("ok", True, [])
