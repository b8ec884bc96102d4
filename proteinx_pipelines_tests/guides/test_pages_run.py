"""The notes for an upgrade are executed on a WORKDIR of the release that they are about."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY

RELEASE = REPOSITORY / "proteinx_pipelines_tests" / "frozen" / "release_0_1_0"
UPGRADE = DOCS / "upgrading.md"


def read(folder: Path, some: list[Path]) -> list[str]:
    """Read pages in a process of its own; the names of those that it has read."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROTEINX_", "DAGSTER_"))
    }
    kept.pop("REDIS_URL", None)
    done = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines_tests.guides.runner", str(folder), *map(str, some)],
        env={**kept, "PYTHONPATH": str(REPOSITORY)}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.removeprefix("== ") for line in done.stdout.splitlines() if line.startswith("== ")]


@pytest.mark.slow
def test_the_notes_for_an_upgrade_hold_on_a_workdir_of_that_release(tmp_path: Path) -> None:
    shutil.copytree(RELEASE, tmp_path / "workdir_compute")
    assert read(tmp_path, [UPGRADE]) == ["docs/upgrading.md"]
