"""What a message brings reaches a terminal as letters: through `show`, `list`, `diff` and `logs`."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ESCAPE = "a\x1b[2J\x1b]0;x\x07\x9b31m\r\u202eb"
FORGED = "x\ngood: SUCCEEDED in 1.0 s"


@pytest.fixture
def hostile(history: Any, settings: Any) -> Any:
    """Two experiments whose source, notes, errors and events hold what a terminal would obey."""
    for name, text in (("one", ESCAPE), ("two", FORGED)):
        flags = {"data": {"source": text}, "ext": {text: {"note": text}}, "run": {"allow_duplicate": True}}
        history.arrive(name, flags=flags)
        history.end(name, Outcome("FAILED", "bad_variants", f"{text} failed", trace=f"Traceback {text}"))
        directory = ExperimentDir(settings.experiments_dir, name)
        directory.events_dir.mkdir(parents=True, exist_ok=True)
        event = {
            "timestamp": "2026-03-01T12:00:00+00:00",
            "stage": "train",
            "event": "note",
            "payload": {"x": text},
        }
        (directory.events_dir / "g1-a1.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
        write_json(directory.flags, flags)
    return history


@pytest.mark.parametrize(
    "command",
    [
        ["list"], ["list", "--json"], ["show", "one"], ["show", "two"], ["show", "one", "--trace"],
        ["show", "one", "--json"],
        ["dead"], ["dead", "--json"], ["logs", "one"], ["logs", "two"], ["result", "one"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.usefixtures("hostile")
def test_no_command_lets_a_terminal_obey(proteinx: Any, command: list[str]) -> None:
    printed = proteinx(*command, expect=None).output
    assert printed
    assert not OBEYED.search(printed)


@pytest.mark.usefixtures("hostile")
def test_a_value_forges_no_line_of_its_own() -> None:
    from proteinx_pipelines.flags.changes import changed_flags

    (sentence,) = changed_flags({"ext": {"a": "x"}}, {"ext": {"a": FORGED + ESCAPE}})
    assert "\n" not in sentence
    assert not OBEYED.search(sentence)


def test_an_error_message_is_letters_too(proteinx: Any, settings: Any) -> None:
    printed = proteinx("show", f"no{ESCAPE}", expect=None).output
    assert printed
    assert not OBEYED.search(printed)


@pytest.mark.usefixtures("hostile")
def test_a_document_that_was_printed_is_read_back_as_it_was(proteinx: Any) -> None:
    assert ESCAPE in list(_texts(json.loads(proteinx("show", "one", "--json").output)))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(inner)
