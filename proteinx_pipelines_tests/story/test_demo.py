"""`proteinx demo`: a newcomer's first view.

The strong form of what it shows: reuse of stages in `test_message_to_result`, no process left in `test_up`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.story


def test_the_demo_ends_well_shows_what_was_spared_and_leaves_no_process(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROTEINX_", "DAGSTER_"))
    }
    environment.pop("REDIS_URL", None)
    started = time.monotonic()
    command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "demo", "--workdir", "here"]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=800
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert time.monotonic() - started < 600  # 90 s on two cores that do nothing else
    said = ended.stdout
    for text in (
        "imported 14,483 variants",
        "/jobs to watch",
        "SUCCEEDED  computed selection, transform, embedding, split, train, evaluate",
        "SUCCEEDED  taken selection, transform, embedding; computed split, train, evaluate",
        "SUCCEEDED  reused selection, transform, embedding; computed split, train, evaluate, design",
        "make next",
        "to beat the wild type",
        '"schema_version": 1',
        "test/spearman",
    ):
        assert text in said
    reports = [
        Path(line.removeprefix("report: ")) for line in said.splitlines() if line.startswith("report: ")
    ]
    assert [report.is_file() for report in reports] == [True, True]
    assert not [process for process in psutil.process_iter() if _works_in(process, tmp_path / "here")]


def _works_in(process: psutil.Process, workdir: Path) -> bool:
    """True if a process was started for this WORKDIR: every part has it in its environment."""
    try:
        return process.environ().get("PROTEINX_WORKDIR") == str(workdir.resolve())
    except psutil.Error:  # gone, or somebody else's
        return False
