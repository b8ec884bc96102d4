"""What messages and files of other people bring reaches a terminal as letters, and forges no line, in every command."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines_tests.execution.conftest import write_catalog

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ESCAPE = "a\x1b[2J\x1b]0;x\x07\x9b31m\r\u202eb"
FORGED = "x\ngood: SUCCEEDED in 1.0 s"
BOTH = f"{ESCAPE}[/x][link=http://evil]{FORGED}"


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
    assert "\ngood: SUCCEEDED" not in printed


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> Path:
    """A WORKDIR whose catalog, notes and titles are hostile, with two experiments by hand, and a round."""
    work = tmp_path_factory.mktemp("hostile") / "w"
    work.mkdir()
    write_catalog(work / "database.db", n_singles=60, n_doubles=0)
    with closing(sqlite3.connect(work / "database.db")) as connection, connection:
        connection.execute("UPDATE sources SET source_text = ?", (BOTH,))
    flags = {
        "data": {"source": BOTH},
        "ext": {BOTH: BOTH, "note": BOTH},
        "evaluate": {"bootstrap": 20, "plots": False},
    }
    (work / "flags.json").write_text(json.dumps(flags))
    for name, alpha in (("a", 1), ("b", 30)):
        words = [
            "train",
            "--flags",
            str(work / "flags.json"),
            f"model.alpha={alpha}",
            f"ext.k={BOTH}{alpha}",
            "--id",
            name,
        ]
        run = CliRunner().invoke(main, words, env={"PROTEINX_WORKDIR": str(work)})
        assert run.exit_code == 0, run.output
        assert_is_letters(run.output)
    return work


def assert_is_letters(printed: str) -> None:
    """A terminal obeys nothing of it, and no line begins as one of ours would."""
    assert printed
    assert not OBEYED.search(printed)
    assert "\ngood: SUCCEEDED" not in printed


@pytest.mark.parametrize(
    "command",
    [
        ["list"], ["show", "a"], ["show", "a", "--json"], ["list", "--json"],
        ["list", "--where", f"data.source={BOTH}"],
        ["list", "--sort", BOTH], ["diff", "a", "b"], ["diff", "a", "b", "--json"], ["diff", "a", "--now"],
        ["compare", "a", "b", "--resamples", "20"], ["compare", "a", "b", "--resamples", "20", "--json"],
        ["compare", "--group", BOTH], ["compare", "a", "b", "--metric", BOTH],
        ["lineage", "a"], ["lineage", "a", "--json"], ["lineage", "a", "--metric", BOTH], ["logs", "a"], ["plots", "a"],
        ["result", "a"], ["predict", "a", "--mutants", BOTH], ["predict", "a", "--singles"],
        ["predict", BOTH, "--singles"],
        ["propose", "a", "--n", "3"], ["propose", "a", "--n", "3", "--source", BOTH], ["plan", f"data.source={BOTH}"],
        ["plan", f"ext.{BOTH}=1", f"data.source={BOTH}z"], ["plan", f"{BOTH}=1"], ["plan", f"model.name={BOTH}"],
        ["plan", f"split.path={BOTH}"], ["plan", "data.source=x", "--payload", f"{BOTH}.csv"], ["submit", f"{BOTH}=1"],
        ["submit", "data.source=x", "--id", BOTH], ["train", f"data.source={BOTH}y"], ["train", "--lr", BOTH],
        ["train", "--flags", BOTH], ["train", "--id", BOTH], ["cancel", BOTH], ["replay", BOTH], ["result", BOTH],
        ["db", "list"], ["db", "list", "--json"], ["db", "show", BOTH], ["db", "show", f"{BOTH}?"],
        ["db", "describe", BOTH],
        ["db", "export", BOTH, f"{BOTH}.csv"], ["db", "export", BOTH, "out.csv"], ["db", "import", f"{BOTH}.csv"],
        ["db", "rename", "no", BOTH], ["db", "rm", f"{BOTH}?", "--yes"], ["db", "fetch", BOTH],
        ["db", "attach", BOTH, f"{BOTH}.pdb"], ["experiment", "rm", BOTH, "--yes"], ["experiment", "archive", BOTH],
        ["experiment", "restore", BOTH], ["store", "ls", "--entries"], ["store", "verify"], ["store", "gc"],
        ["round", "start", "--id", BOTH, f"data.source={BOTH}"], ["round", "start", "--id", "r", f"data.source={BOTH}"],
        ["round", "status", "--id", "r"], ["round", "status", "--id", BOTH], ["round", "measured", BOTH],
        ["simulate", f"data.source={BOTH}", "--acquisition", BOTH], ["flags", BOTH], ["flags", "--to-kv", BOTH],
        ["docs", BOTH], ["models", "--json"], ["usage"], ["usage", "--since", BOTH], ["dead"], ["model", "card", BOTH],
        ["model", "export", BOTH], ["prior", "show", BOTH], ["bench", "score", BOTH], ["job", "move", BOTH],
        ["list", "--master", BOTH], [BOTH], ["list", f"--{BOTH}"],
    ],
    ids=lambda words: " ".join(words).replace(BOTH, "X").replace("/", ":"),
)  # fmt: skip
def test_no_command_shows_more_of_other_peoples_names_than_letters(
    trained: Path, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`show` printed a line of a source's own: `good: SUCCEEDED in 1.0 s`, with nothing before it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    run = CliRunner().invoke(main, command, env={"PROTEINX_WORKDIR": str(trained)})
    assert run.exception is None or isinstance(run.exception, SystemExit), command
    assert_is_letters(run.output)


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
