"""docs/data.md is executed: its files are written, its commands run, and each line that they should print is there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS_A_MIRROR = "proteinx db fetch"


def commands(text):
    """Command and the lines that it should print, for each `$` of a block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.strip().splitlines()
        yield command, expected


@pytest.fixture
def folder(tmp_path):
    for kind, name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "text" and name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_example_does_what_the_page_says(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PROTEINX_WORKDIR", str(folder / "workdir"))
    found = [text for kind, _, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "console"]
    run = 0
    for command, expected in (pair for text in found for pair in commands(text)):
        if command.startswith(_NEEDS_A_MIRROR):
            continue
        printed = CliRunner().invoke(main, shlex.split(command)[1:]).output
        assert expected, command
        for line in expected:
            assert line in printed, (command, printed)
        run += 1
    assert run >= 12


def test_every_file_of_the_page_is_used(folder):
    text = PAGE.read_text(encoding="utf-8")
    for path in folder.iterdir():
        assert len(re.findall(rf"\b{re.escape(path.name)}\b", text)) > 1, path.name
