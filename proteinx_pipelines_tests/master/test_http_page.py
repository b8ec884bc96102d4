"""docs/http.md: every address that it names exists, every template is on it."""

import re
from pathlib import Path

from fastapi.testclient import TestClient

from proteinx_pipelines.master.jobs.listing import _EQUAL
from proteinx_pipelines.templates import templates

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
NOT_IN_THE_SCHEMA = {"/openapi.json"}


def spelt(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path.split("?")[0])


def test_every_address_of_ours_exists(http: TestClient) -> None:
    there = {
        (method.upper(), spelt(path))
        for path, methods in http.app.openapi()["paths"].items()
        for method in methods
    }
    ours = [row.split("|")[2] for row in PAGE.splitlines() if row.startswith("| ") and row.count("|") == 3]
    named = [
        (method, spelt(path))
        for cell in ours
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/api/[^`\s]*)`", cell)
    ]
    assert len(named) > 25
    assert [each for each in named if each not in there] == []


def test_every_address_that_is_the_same_exists(http: TestClient) -> None:
    there = {spelt(path) for path in http.app.openapi()["paths"]}
    same = [
        row.split("|")[1]
        for row in PAGE.splitlines()
        if row.count("|") == 3 and "the same" in row.split("|")[2]
    ]
    named = [spelt(path) for cell in same for path in re.findall(r"(/api/[^`\s]*)", cell)]
    assert len(named) >= 6
    assert [path for path in named if path not in there] == []


def test_every_template_and_every_filter_is_on_the_page() -> None:
    assert [name for name in templates() if f"`{name}`" not in PAGE] == []
    assert [name for name in _EQUAL if f"`{name}`" not in PAGE] == []
