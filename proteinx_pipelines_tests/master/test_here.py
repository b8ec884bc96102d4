"""Commands in the WORKDIR of a running Master find it by `master.json`: doctor, list, show, cancel."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.master.database.facts import set_paused
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.node.health.master import check_master
from proteinx_pipelines.node.talking.master_jobs import waiting_jobs


@pytest.fixture
def job(served: str, master: Master, monkeypatch: pytest.MonkeyPatch) -> str:
    """A waiting job of a Master that runs here; returns its id."""
    known = {"url": served, "port": 1, "pid": os.getpid()}
    master.settings.address_file.write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setenv("PROTEINX_WORKDIR", str(master.settings.node.workdir))
    checked = check(JobRequest(flags={"data": {"source": "GB1"}}, experiment_id="waits"))
    return master.database.write(lambda c: create(c, checked, caller="test"))


def run(*words: str) -> str:
    answer = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_doctor_looks_at_the_master(job: str, master: Master) -> None:
    settings = master.settings.node
    found = [(each.level, each.text) for each in check_master(settings)]
    assert found[0][0] == "ok"
    assert ("warning", "1 jobs wait and no node takes any.") in found
    master.database.write(lambda c: set_paused(c, paused=True))
    assert any("paused" in text for _level, text in [(f.level, f.text) for f in check_master(settings)])


def test_a_master_that_was_killed_is_named(job: str, master: Master) -> None:
    known = {"url": "http://127.0.0.1:1", "port": 1, "pid": 2**22 + 1}
    master.settings.address_file.write_text(json.dumps(known), encoding="utf-8")
    assert ["was killed" in each.text for each in check_master(master.settings.node)] == [True]
    assert waiting_jobs(master.settings.node) == []


def test_a_job_that_waits_is_shown_and_cancelled(job: str, master: Master, tmp_path: Path) -> None:
    shown = run("show", "waits")
    assert job in shown
    assert "no node is connected" in shown
    assert json.loads(run("cancel", "waits", "--json")) == {
        "experiment_id": "waits", "generation": None, "state": "CANCELLED", "ended": True,
    }  # fmt: skip
    assert waiting_jobs(master.settings.node) == []


def test_what_waits_is_in_the_list(job: str, master: Master) -> None:
    from proteinx_pipelines.ledger.ledger import Ledger

    Ledger(master.settings.node.state_path)  # as a node makes it
    rows = json.loads(run("list", "--json"))
    assert [(row["experiment_id"], row["state"], row["position"]) for row in rows] == [
        ("waits", "PENDING", 1)
    ]
