"""A disk that is really full (a small tmpfs): a clean FAILED, a sound state.db, and the next generation succeeds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines_tests.chaos.disk_full import WRITES
from proteinx_pipelines_tests.chaos.trials import how_often

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("disk_full.py")
FEW = (
    "state.db: a message",
    "the selection",
    "the third checkpoint",
    "the trained model",
    "state.db: the result",
)
TRIED = tuple(WRITES)[: how_often(0, len(WRITES))] or FEW


def needs_a_small_disk() -> None:
    """Skip a test where this user may not mount a file system in a namespace of its own."""
    tried = shutil.which("unshare") and subprocess.run(
        ["unshare", "-rm", "true"], capture_output=True, check=False
    )
    if not tried or tried.returncode:
        pytest.skip("needs `unshare -rm` for a small disk of its own, which is not allowed here")


def filled(folder: Path, redis_url: str, *arguments: str) -> list[dict[str, Any]]:
    """Outcome of each write, all of them tried in one process on one small disk."""
    needs_a_small_disk()
    command = ["unshare", "-rm", sys.executable, str(SCRIPT), str(folder), redis_url, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> dict[str, dict[str, Any]]:
    """Write -> what became of it."""
    return {story["write"]: story for story in filled(tmp_path_factory.mktemp("disk"), redis_url, *TRIED)}


@pytest.mark.parametrize("write", TRIED)
def test_a_disk_that_is_full_at_a_write_fails_that_experiment_at_most(
    stories: dict[str, dict[str, Any]], write: str
) -> None:
    story = stories[write]
    assert story["was full"], "the disk was not filled: nothing was tried"
    first, second = story["results"]
    if WRITES[write].ends == "FAILED":
        assert first == ["FAILED", "disk_full"]
    else:
        assert first == ["SUCCEEDED", None]
    assert second == ["SUCCEEDED", None]
    assert story["claimed"] == (WRITES[write].ends == "claimed"), "acknowledged only what was decided"
    assert (story["read"], story["reserve"], story["partial"]) == ("ok", True, [])
    if write == "the third checkpoint":
        assert story["checkpoint"] is not None, "the last good checkpoint is there"


def test_without_the_reserve_a_full_disk_leaves_an_experiment_without_its_result(
    tmp_path: Path, redis_url: str
) -> None:
    (story,) = filled(tmp_path, redis_url, "--without-reserve", "the embedding")
    assert story["was full"]
    assert "state.db cannot be written" in story["trouble"]
    assert story["results"] == []
