"""Every error code that the code can give has its entry in docs/troubleshooting.md, and the page names no other."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path

from proteinx_pipelines import errors
from proteinx_pipelines.contract.request import CODES
from proteinx_pipelines.node.lifecycle.attempt_end import NODE_FAULTS, WORTH_A_RETRY

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "troubleshooting.md"
WITHOUT_A_CLASS = {
    "code_failed", "stage_failed", "out_of_memory", "disk_full", "duplicate", "run_failed", "run_lost",
}  # fmt: skip
"""Codes that are given as a text; each has to stand in the source."""
OF_HTTP = {HTTPStatus(status).phrase.lower().replace(" ", "_") for status in (401, 403, 404, 429)}
"""Codes of answers of the web framework that a person meets."""


def _of_source(text: str) -> Iterator[str]:
    """Codes of classes (`code = "..."`) and of HTTP answers (`HttpProblem(422, "...")`)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                names = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
                value = getattr(each, "value", None)
                named = any(isinstance(name, ast.Name) and name.id == "code" for name in names)
                if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "HttpProblem":
            yield from (
                each.value
                for each in node.args[1:2]
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )


@cache
def given() -> set[str]:
    """Every code that the package can give."""
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "proteinx_pipelines").rglob("*.py")]
    source = "\n".join(texts)
    absent = [code for code in WITHOUT_A_CLASS if f'"{code}"' not in source]
    assert absent == []
    return {code for text in texts for code in _of_source(text)} | set(CODES) | WITHOUT_A_CLASS | OF_HTTP


def entries() -> dict[str, str]:
    """Each code of the page, and its row."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {code: row for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_code_has_its_entry():
    of_errors = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")
    }
    assert len(of_errors) > 30
    assert of_errors <= given()
    assert sorted(given() - set(entries())) == []


def test_the_page_names_no_code_that_nothing_gives():
    assert sorted(set(entries()) - given()) == []


def test_the_page_marks_what_a_result_calls_retryable():
    marked = {code for code, row in entries().items() if row.split("|")[2].strip().endswith("; retry")}
    of_results = NODE_FAULTS | WORTH_A_RETRY
    of_classes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and getattr(kind, "retryable", False)
    }
    assert sorted(of_results - marked) == []
    assert sorted(marked - of_results - of_classes - {"master_unavailable"}) == []


def test_an_entry_says_what_to_do():
    short = [
        code for code, row in entries().items() if len([cell for cell in row.split("|") if cell.strip()]) != 3
    ]
    assert short == []
