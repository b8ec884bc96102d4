"""A shared store that is away, stopped, slow, full or wrong costs the saving, and nothing else."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.execution import shared_stages
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.files.shared import store as shared_store_module
from proteinx_pipelines.files.shared.away import AWAY_S, AwayNote
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.machines import Machine, actions
from proteinx_pipelines_tests.object_servers import ObjectServer, Proxy, proxy_to

COMPUTED = dict.fromkeys(always_made(), "computed")
TAKEN = {**dict.fromkeys(always_made(), "taken"), "selection": "computed"}


@pytest.fixture
def proxy(s3: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxy_to(s3) as found:
        for name, value in s3.environment(found.endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(shared_store_module, "SILENCE_S", 0.5)
        yield found


@pytest.fixture
def filled(proxy: Proxy, tmp_path: Path) -> str:
    """Address of a store that has every stage of `QUICK`."""
    url = f"s3://bucket/{tmp_path.name}"
    first = Machine.at(tmp_path / "first", url)
    first.run("gb1", QUICK)
    first.send()
    proxy.requests.clear()
    return url


def report(machine: Machine) -> str:
    return file_sha256(ExperimentDir(machine.settings.experiments_dir, "gb1").report_json)


def test_a_store_that_answers_is_used(filled: str, tmp_path: Path) -> None:
    """The twin of all tests below: without trouble, everything is taken."""
    machine = Machine.at(tmp_path / "second", filled)
    assert actions(machine.run("gb1", QUICK)) == TAKEN
    assert machine.shared.away.reason() is None
    first = Machine(replace(machine.settings, workdir=tmp_path / "first"))
    assert report(machine) == report(first)


def test_a_server_that_is_stopped_is_waited_for_once(
    filled: str, tmp_path: Path, s3: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine.at(tmp_path / "second", filled)
    s3.pause()
    try:
        assert actions(machine.run("gb1", QUICK)) == COMPUTED
    finally:
        s3.go_on()
    assert caplog.text.count("is not asked for a while") == 1
    assert "did not answer" in str(machine.shared.away.reason())
    machine.shared.away.clear()
    assert actions(machine.run("other", QUICK)) != COMPUTED


def refused(proxy: Proxy, machine: Machine) -> int:
    """Requests of an experiment whose every question is answered with an error of the server."""
    proxy.requests.clear()
    proxy.fail_gets = True
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    return len(proxy.requests)


def test_a_store_in_trouble_is_asked_once(filled: str, tmp_path: Path, proxy: Proxy) -> None:
    assert refused(proxy, Machine.at(tmp_path / "second", filled)) == 1


def test_without_the_note_every_stage_would_ask_it(
    filled: str, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AwayNote, "reason", lambda _self: None)
    assert refused(proxy, Machine.at(tmp_path / "second", filled)) == len(always_made()) - 1


def test_a_note_that_nobody_renews_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = AwayNote(tmp_path / "away.json")
    note.write(BackendError("It is away."))
    assert note.reason() == "It is away."
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + AWAY_S + 1)
    assert note.reason() is None


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    filled: str, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time limit of a request notices it, since bytes come."""
    monkeypatch.setattr(shared_stages, "ENTRY_S", 0.3)
    machine = Machine.at(tmp_path / "second", filled)
    proxy.trickle_s = 0.1
    began = time.monotonic()
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    assert time.monotonic() - began < 60  # an entry of 2,000 bytes alone would take 200 s
    assert "too slow" in str(machine.shared.away.reason())


def test_wrong_bytes_of_every_answer_are_noticed(filled: str, tmp_path: Path, proxy: Proxy) -> None:
    machine = Machine.at(tmp_path / "second", filled)
    proxy.spoil = lambda method, path, content: (
        bytes([content[0] ^ 1]) + content[1:]
        if method == "GET" and "/objects/" in path and content
        else content
    )
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    proxy.spoil = None
    machine.send()  # what was computed again is sent again
    assert actions(Machine.at(tmp_path / "third", filled).run("gb1", QUICK)) == TAKEN


def test_a_store_that_is_full_keeps_what_waits_until_there_is_room(tmp_path: Path, proxy: Proxy) -> None:
    url = f"s3://bucket/{tmp_path.name}"
    machine = Machine.at(tmp_path / "first", url)
    proxy.refuse_puts = True
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    with pytest.raises(BackendError, match="InsufficientStorage"):
        machine.send()
    assert machine.outgoing.counts()["stages"] == len(always_made())
    proxy.refuse_puts = False
    machine.send()
    assert machine.outgoing.counts()["stages"] == 0
    assert actions(Machine.at(tmp_path / "second", url).run("gb1", QUICK)) == TAKEN


def test_no_secret_is_in_the_errors_of_a_store(
    filled: str, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-1a2b3c")
    machine = Machine.at(tmp_path / "second", filled)
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    why = str(machine.shared.away.reason())
    assert "SignatureDoesNotMatch" in why
    assert "canary" not in json.dumps(why)


def test_without_the_package_an_experiment_runs_as_without_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    machine = Machine.at(tmp_path / "first", f"s3://bucket/{tmp_path.name}")
    assert actions(machine.run("gb1", QUICK)) == COMPUTED
    assert "proteinx-infra[objects]" in caplog.text
