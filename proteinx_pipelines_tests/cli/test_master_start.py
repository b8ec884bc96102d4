"""The program `proteinx master` from its first second to its last."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from proteinx_pipelines_tests.waiting import wait_until


def _lock(workdir: Path) -> bool:
    return (workdir / "master" / "master.lock").is_file()


def _log_of_the_embedded_server(workdir: Path) -> bool:
    return any(workdir.glob("**/redis.log"))


@pytest.mark.parametrize("has_begun", [_lock, _log_of_the_embedded_server])
def test_a_master_that_is_stopped_while_it_starts_says_so_and_leaves_nothing_running(
    tmp_path: Path, has_begun: Callable[[Path], bool]
) -> None:
    """Incident: SIGTERM in the seconds before *ready* ended it without a word, as a crash does."""
    own = {"PROTEINX_WORKDIR": str(tmp_path), "PROTEINX_MASTER_PORT": "0"}
    others = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    process = subprocess.Popen(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", "master"],
        env={**others, **own}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: has_begun(tmp_path) or process.poll() is not None)
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == "The Master has stopped."
    assert not (tmp_path / "master" / "master.json").exists()
    _gone, left = psutil.wait_procs(children, timeout=120)
    assert left == []
