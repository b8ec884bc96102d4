"""A process killed during a save of a checkpoint, TMPDIR on another file system: one is readable after every kill."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
OTHERS = ("staged elsewhere", "in place", "stock")
SCRIPT = Path(__file__).with_name("killed_saves.py")
MEMORY = Path("/dev/shm")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files on another file system than `tmp_path`."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)) or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system, /dev/shm, which is not there or holds the tests themselves")
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def killed(folder: Path, elsewhere: Path, writer: str, kills: int, seed: int) -> dict[str, Any]:
    """Run so many kills during saves; returns the report of `killed_saves.py`."""
    environment = {**os.environ, "TMPDIR": str(elsewhere), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(folder), writer, str(kills), str(seed)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return dict(json.loads(ended.stdout))


def test_every_kill_inside_of_a_save_leaves_a_checkpoint_that_can_be_read(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = how_often(10, 100)
    with capsys.disabled():
        seed = printed_seed(f"{kills} kills inside of a save")
    found = killed(tmp_path, elsewhere, "atomic", kills, seed)
    assert found == {"kills": kills, "readable": kills, "lost": 0, "elsewhere": True}


@pytest.mark.parametrize("writer", OTHERS[: how_often(1, len(OTHERS))])
def test_without_the_project_s_own_writer_some_leave_nothing_to_go_on_from(
    tmp_path: Path, elsewhere: Path, writer: str
) -> None:
    """Guard off: what is written in place, or moved there from a temporary folder as Lightning does, is half there."""
    found = killed(tmp_path, elsewhere, writer, 25, seed=1)
    assert found["readable"] < found["kills"] == 25
