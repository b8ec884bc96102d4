"""What the campaign counts on: an overlap of two attempts is seen, so that its absence means something."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from proteinx_pipelines.execution.attempt import Attempt


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("CHAOS_JOURNAL", str(tmp_path / "journal.jsonl"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(Attempt, "run_stage", lambda _self, name, _record: name)
    yield importlib.import_module("chaos_journal")
    sys.modules.pop("chaos_journal")


def attempt(number: int) -> Any:
    return SimpleNamespace(directory=SimpleNamespace(experiment_id="e"), generation=1, number=number)


def events(journal: ModuleType) -> list[str]:
    return [fact["event"] for fact in journal.facts()]


def begun_by(journal: ModuleType, pid: int) -> None:
    """Attempt 1 has begun to train in another process."""
    fact = {
        "event": "begin",
        "id": "e",
        "generation": 1,
        "attempt": 1,
        "stage": "train",
        "pid": pid,
        "at": 0.0,
    }
    journal.JOURNAL.write_text(json.dumps(fact) + "\n", encoding="utf-8")


def test_an_attempt_that_begins_while_another_one_runs_is_an_overlap(journal: ModuleType) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        begun_by(journal, other.pid)
        journal.run_stage(attempt(2), "train", None)
        assert events(journal) == ["begin", "overlap", "begin", "end"]
    finally:
        other.kill()
        other.wait()


def test_an_attempt_whose_process_has_died_is_none(journal: ModuleType) -> None:
    other = subprocess.Popen([sys.executable, "-c", ""])
    other.wait()
    begun_by(journal, other.pid)
    assert other.pid != os.getpid()
    journal.run_stage(attempt(2), "train", None)
    assert events(journal) == ["begin", "begin", "end"]
