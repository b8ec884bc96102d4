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


def test_every_form_of_an_answer_is_in_the_document(http: TestClient) -> None:
    """Made-up requests asked for a table too seldom: two routes gave CSV that the document did not name."""
    group = http.post("/api/groups", json={"name": "sweep"}).json()["group_id"]
    paths, seen = http.app.openapi()["paths"], []
    for path, methods in paths.items():
        for parameter in methods.get("get", {}).get("parameters", []):
            if parameter["name"] == "format":
                named = {kind.split(";")[0] for kind in methods["get"]["responses"]["200"]["content"]}
                for form in parameter["schema"]["enum"]:
                    answer = http.get(path.replace("{group_id}", group), params={"format": form})
                    assert answer.status_code == 200, (path, form, answer.text)
                    assert answer.headers["content-type"].split(";")[0] in named, (path, form)
                    seen.append(form)
    assert sorted(seen) == ["csv", "html", "json", "json", "parquet"]
    assert "text/csv" in paths["/api/models/{model_id}/predict"]["post"]["responses"]["200"]["content"]


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
