"""Every command and every piece of Python in the README, the tutorials and the how-to pages is executed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY, blocks, commands, pages

RELEASE = REPOSITORY / "proteinx_pipelines_tests" / "frozen" / "release_0_1_0"
WITH_A_NODE = ("README.md", "first_node.md", "first_fleet.md", "sweep.md", "webhook.md", "recover.md")
"""Pages that need a running node; they share one, in this order."""
UPGRADE = "upgrading.md"
EXAMPLE = DOCS / "tutorials" / "first_plate.md"


def read(folder: Path, names: list[str], *, own_folders: bool) -> str:
    """Read pages in a process of its own; what it printed."""
    paths = {page.name: page for page in pages()}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROTEINX_", "DAGSTER_"))
    }
    environment.pop("REDIS_URL", None)
    words = ["own" if own_folders else "shared", str(folder), *(str(paths[name]) for name in names)]
    done = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines_tests.guides.runner", *words],
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def place_example(folder: Path) -> None:
    """The measurements that the first tutorial writes: every page calls them MY.csv."""
    folder.mkdir(exist_ok=True)
    text = next(block.text for block in blocks(EXAMPLE) if block.language == "python")
    subprocess.run([sys.executable, "-c", text], cwd=folder, check=True)


@pytest.mark.slow
def test_pages_without_a_node(tmp_path: Path) -> None:
    names = [page.name for page in pages() if page.name not in (*WITH_A_NODE, UPGRADE)]
    place_example(tmp_path)
    for name in names:
        folder = tmp_path / name.removesuffix(".md")
        folder.mkdir()
        for file in ("MY.csv", "MY.json"):
            shutil.copy(tmp_path / file, folder)
    printed = read(tmp_path, names, own_folders=True)
    assert [line[3:].rsplit("/", 1)[-1] for line in printed.splitlines() if line.startswith("== ")] == names


@pytest.mark.slow
def test_the_notes_for_an_upgrade_hold_on_a_workdir_of_that_release(tmp_path: Path) -> None:
    shutil.copytree(RELEASE, tmp_path / "workdir_compute")
    read(tmp_path, [UPGRADE], own_folders=False)


@pytest.mark.story
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_pages_with_a_node(tmp_path: Path) -> None:
    place_example(tmp_path)
    printed = read(tmp_path, list(WITH_A_NODE), own_folders=False)
    assert printed.count("== ") == len(WITH_A_NODE)


def test_every_page_is_in_one_of_the_groups() -> None:
    known = {page.name for page in pages()}
    assert {*WITH_A_NODE, UPGRADE} <= known
    assert len(known) == len(pages())
    without = [page for page in pages() if page.name not in WITH_A_NODE]
    serving = [
        page.name
        for page in without
        for block in blocks(page)
        if block.language == "bash"
        for command in commands(block.text)
        if command.text.startswith(("proteinx up", "proteinx node", "proteinx submit"))
    ]
    assert serving == []
