"""Every command and every piece of Python in the README, the tutorials and the how-to pages is executed."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from proteinx_pipelines import open_experiment
from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY, blocks, pages

RELEASE = REPOSITORY / "proteinx_pipelines_tests" / "frozen" / "release_0_1_0"
UPGRADE = DOCS / "upgrading.md"
EXAMPLE = DOCS / "tutorials" / "first_plate.md"


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


@pytest.mark.story
@pytest.mark.skipif(sys.platform == "win32", reason="the embedded server")
def test_the_notes_for_an_upgrade_hold_on_a_workdir_of_that_release(tmp_path: Path) -> None:
    """A whole one: its node was stopped while an experiment ran and another waited, and both end here."""
    with tarfile.open(RELEASE / "workdir.tar.xz") as recorded:
        recorded.extractall(tmp_path, filter="data")
    assert read(tmp_path, [UPGRADE]) == ["docs/upgrading.md"]
    for name in ("gb1-running", "gb1-waiting"):
        experiment = open_experiment(tmp_path / "workdir_compute" / "experiments" / name)
        assert experiment.status == "SUCCEEDED"
    ended = open_experiment(tmp_path / "workdir_compute" / "experiments" / "gb1-ridge")
    assert (ended.status, ended.document["generation"]) == ("SUCCEEDED", 3)


@pytest.mark.story
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.skipif(sys.platform == "win32", reason="the embedded server")
def test_readme_tutorials_and_how_to_pages_do_what_they_say(tmp_path: Path) -> None:
    """In one folder with one node: what a page has computed, the next one takes."""
    text = next(block.text for block in blocks(EXAMPLE) if block.language == "python")
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
    some = [page for page in pages() if page != UPGRADE]
    assert read(tmp_path, some) == [page.relative_to(REPOSITORY).as_posix() for page in some]
