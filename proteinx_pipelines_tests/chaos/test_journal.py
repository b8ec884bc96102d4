"""The campaign's detectors: overlaps, second results and missing kills are reported, so silence means no fault."""

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.chaos.campaign import Campaign
from proteinx_pipelines_tests.chaos.redis_campaign import RemoteNode


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


# ---------------------------------------------------------------------- what a campaign says at its end
@pytest.fixture
def campaign(tmp_path: Path, redis_url: str) -> Campaign:
    """A campaign that has killed once, on a node that was left in order."""
    connect(redis_url).flushdb()
    Ledger(tmp_path / "state.db")
    (tmp_path / "dagster_home").mkdir()
    with closing(sqlite3.connect(tmp_path / "dagster_home" / "runs.db")) as history:
        history.execute("CREATE TABLE runs (run_id TEXT, status TEXT)")
    node = RemoteNode(tmp_path, {"REDIS_URL": redis_url, "CHAOS_JOURNAL": str(tmp_path / "journal.jsonl")})
    return Campaign(node, messages=1, every_s=1.0, seed=0, kills=Counter(worker=1))


def problems(campaign: Campaign, *results: tuple[str, str]) -> list[str]:
    """Problems found when `chaos-0000` was sent and these results came: result id and status, oldest first."""
    for result_id, status in results:
        document = {"experiment_id": "chaos-0000", "result_id": result_id, "status": status}
        campaign.node.redis.lpush("experiments:results", json.dumps(document))
    return campaign._problems({"chaos-0000": "SUCCEEDED"})


def test_one_right_result_is_no_problem(campaign: Campaign) -> None:
    assert problems(campaign, ("r-1", "SUCCEEDED")) == []


def test_a_second_result_is_seen_under_another_id_too(campaign: Campaign) -> None:
    """Copies were counted by `result_id`, and of two results the older one was looked at."""
    said = problems(campaign, ("r-1", "SUCCEEDED"), ("r-2", "FAILED"))
    assert said == ["chaos-0000 has 2 results"]


def test_a_campaign_that_killed_nobody_has_shown_nothing(campaign: Campaign) -> None:
    campaign.kills.clear()
    assert problems(campaign, ("r-1", "SUCCEEDED")) == ["nobody was killed"]
