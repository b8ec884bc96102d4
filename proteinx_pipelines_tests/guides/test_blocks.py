"""Blocks of the pages: every page has some that run, in a language that is known, and Chinese pages have the same."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY, blocks, commands, pages

TRANSLATED = [
    (REPOSITORY / "README.md", REPOSITORY / "README.zh.md"),
    *((page, DOCS / "zh" / "tutorials" / page.name) for page in sorted((DOCS / "tutorials").glob("*.md"))),
]
LANGUAGES = {"bash", "python", "text", "csv", "json", "toml", "yaml"}


def name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_block_has_a_language_and_can_be_read(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))
    for block in blocks(page):
        assert block.language in LANGUAGES
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "yaml":
            assert list(yaml.safe_load_all(block.text))
        elif block.language == "python":
            compile(block.text, name(page), "exec")
        elif block.language == "bash":
            assert commands(block.text)


@pytest.mark.parametrize(("page", "chinese"), TRANSLATED, ids=[name(page) for page, _ in TRANSLATED])
def test_a_chinese_page_has_the_same_blocks(page: Path, chinese: Path) -> None:
    """Comments may be translated, what is typed may not."""

    def typed(path: Path) -> list[object]:
        return [
            commands(block.text) if block.language == "bash" else block.text
            for block in blocks(path)
            if block.language in ("bash", "python")
        ]

    assert typed(chinese) == typed(page)
    assert [block.title for block in blocks(chinese)] == [block.title for block in blocks(page)]
    assert any("一" <= letter <= "鿿" for letter in chinese.read_text(encoding="utf-8"))


def test_every_tutorial_is_among_the_pages_that_run() -> None:
    assert set((DOCS / "tutorials").glob("*.md")) <= set(pages())


def test_commands_that_no_test_can_run_name_files_that_are_there() -> None:
    """Those of a cluster are shown only; the images and the chart that they name are in the repository."""
    shown = [block.text for page in pages() for block in blocks(page) if block.language == "text"]
    named = {path for text in shown for path in re.findall(r"\bdeploy/[\w./-]+", text)}
    assert len(named) >= 3
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


def test_a_failing_command_says_so() -> None:
    read = commands("proteinx list && proteinx show a # exit code 1: unknown\nproteinx up   # a server")
    assert [(each.text, each.exit_code) for each in read] == [
        ("proteinx list", 1),
        ("proteinx show a", 1),
        ("proteinx up", 0),
    ]
