"""What states the version agrees, and what a commit checks is what `make check` checks."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import yaml

from proteinx_pipelines_tests.install_check import USES, extras

REPOSITORY = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    assert citation["license"] == "MIT"
    assert VERSION in (REPOSITORY / "docs" / "upgrading.md").read_text(encoding="utf-8").splitlines()[0]
    client = (REPOSITORY / "client_wheel" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in client
    files = [*(REPOSITORY / "deploy").rglob("*"), *(REPOSITORY / "docs").rglob("*.md")]
    named = {
        version
        for path in files
        if path.is_file()
        for version in re.findall(
            r"proteinx-(?:master|node):(?:\$\{IMAGE_VERSION:-)?(\d[\d.]+\d)|IMAGE_VERSION=(\S+)|^appVersion: (\S+)",
            path.read_text(encoding="utf-8", errors="replace"),
            re.MULTILINE,
        )
        for version in filter(None, version)
    }
    assert named == {VERSION}


def test_the_changelog_has_the_version_and_its_date():
    """It still said Unreleased when the version had been raised."""
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    released = re.findall(r"^## \[(\d[\d.]+)\] - (\S+)$", changelog, re.MULTILINE)
    assert released[0] == (VERSION, citation["date-released"])
    assert re.findall(r"^## \[(\w[\w.]+)\]", changelog, re.MULTILINE)[0] == "Unreleased"


def test_the_changelog_says_each_thing_once():
    """Merges brought back, twice, thirty lines of a section that had been written anew beside them."""
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in changelog.split("\n## "):
        entries = [" ".join(line.split()[1:5]) for line in release.splitlines() if line.startswith("- ")]
        assert [first for first, n in Counter(entries).items() if n > 1] == []


def test_the_release_check_uses_every_extra():
    assert set(USES) == set(extras())


def test_a_commit_is_checked_as_make_check_does():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^check: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    typed = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]] == typed
