"""Failure bundles contain the needed facts, no secrets and no endless text, and delay no process."""

import json
import threading
import time
from typing import Any

import pytest

from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle import attempt_end as finish
from proteinx_pipelines.node.lifecycle import failure_bundle
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.bundle_writer import MOST_WAITING, BundleWriter, bundle_writer
from proteinx_pipelines_tests.node.world import World

SECRET = "canary-77fe"
SECRETS = ("REDIS_PASS", "REDIS_AUTH", "PROTEINX_SIGNING_KEY", "DAGSTER_DB_PW", "TORCH_PASSPHRASE", "SSH_KEY",
           "PROTEINX_ODDLY_NAMED", "DAGSTER_INNOCENT", "CUDA_HARMLESS")  # fmt: skip


def fail(world: World, message: str = "it does not fit", **flags: Any) -> dict[str, Any]:
    """An experiment fails; its bundle."""
    current = world.begin("e", **flags)
    world.state.note_error(current.token or "", "bad_variants", message, "Traceback")
    finish_attempt(world.settings, world.state, world.latest(), RunEnd.FAILURE)
    assert bundle_writer().wait(60)
    return json.loads((world.settings.workdir / "failures" / "e-g1.json").read_text(encoding="utf-8"))


def test_variables_that_are_not_on_the_list_are_not_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their name: once, every variable that began like one of ours was included."""
    for name in SECRETS:
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    bundle = fail(world)
    assert SECRET not in json.dumps(bundle)
    assert bundle["environment"]["OMP_NUM_THREADS"] == "3"
    assert not set(SECRETS) & set(bundle["environment"])


def test_an_endless_text_is_cut_wherever_it_comes_from(world: World) -> None:
    """An error text of 10.9 million characters went into `state.db`."""
    world.settings.logs_dir.mkdir(parents=True, exist_ok=True)
    (world.settings.logs_dir / "host.log").write_text("x" * 5_000_000, encoding="utf-8")
    bundle = fail(world, "A" * 11_000_000)
    assert len(json.dumps(bundle)) < 200_000
    assert "characters left out" in bundle["error"]["message"]
    (result,) = world.results()
    assert len(json.dumps(result)) < 100_000


def _stuck(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Redaction, or the disk, that takes for ever; until the event is set."""
    go_on = threading.Event()

    def redact_all(value: Any) -> Any:
        go_on.wait(120)
        return value

    monkeypatch.setattr(failure_bundle, "redact_all", redact_all)
    return go_on


def _finish_three(world: World) -> float:
    """Seconds until three experiments have their results."""
    began = time.monotonic()
    for name in ("a", "b", "c"):
        current = world.begin(name)
        world.state.note_error(current.token or "", "bad_variants", "no", "")
        finish_attempt(world.settings, world.state, world.latest(name), RunEnd.FAILURE)
    return time.monotonic() - began


def test_a_bundle_that_cannot_be_made_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message of letters stopped the run host; three innocent experiments behind it were given up."""
    writer, go_on = BundleWriter(), _stuck(monkeypatch)
    monkeypatch.setattr(finish, "bundle_writer", lambda: writer)
    try:
        _finish_three(world)
        assert len(world.results()) == 3
        assert not writer.wait(0.0)
    finally:
        go_on.set()
    assert writer.wait(60)


def test_written_in_the_host_s_own_thread_it_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off: the same bundle, written by the thread that finishes the experiment."""

    class AtOnce(BundleWriter):
        def write_later(self, run_key: str, write: Any) -> bool:
            write()
            return True

    go_on = _stuck(monkeypatch)
    monkeypatch.setattr(finish, "bundle_writer", AtOnce)
    host = threading.Thread(target=_finish_three, args=(world,), daemon=True)
    host.start()
    deadline = time.monotonic() + 60
    while not world.results() and time.monotonic() < deadline:
        time.sleep(0.05)
    host.join(3)
    assert host.is_alive()
    assert len(world.results()) == 1
    go_on.set()
    host.join(60)


def test_more_than_can_wait_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    writer, go_on = BundleWriter(), threading.Event()
    taken = [
        writer.write_later(f"e/{number}/1", lambda: go_on.wait(60)) for number in range(MOST_WAITING + 2)
    ]
    go_on.set()
    assert taken.count(True) >= MOST_WAITING
    assert taken[-1] is False
    assert "is left out" in caplog.text
    assert writer.wait(60)


def test_a_bundle_that_fails_is_logged_and_the_next_is_written(caplog: pytest.LogCaptureFixture) -> None:
    writer, written = BundleWriter(), []
    writer.write_later("a/1/1", lambda: 1 / 0)
    writer.write_later("b/1/1", lambda: written.append("b"))
    assert writer.wait(60)
    assert written == ["b"]
    assert "a/1/1: its failure bundle could not be written: division by zero" in caplog.text


def test_an_outcome_s_texts_are_cut_before_they_are_stored(world: World) -> None:
    current = world.begin("e")
    finish.finish_generation(
        world.settings, world.state, current, Outcome("FAILED", "internal", "A" * 5_000_000, "B" * 5_000_000)
    )
    found = world.latest("e")
    assert len(found.error_message or "") < 30_000
    assert len(found.trace or "") < 30_000
