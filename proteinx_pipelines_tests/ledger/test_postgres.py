"""The same ledger in PostgreSQL, on a real server of this test's own; skipped where none is installed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.ledger.arrivals import AlreadyKnown
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines_tests.postgres import running_postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """URL of a database of its own."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    found = Ledger(url)
    yield found
    with found.engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    found.engine.dispose()


def accept(ledger: Ledger, experiment_id: str = "e", key: str = "k") -> Generation:
    return ledger.accept(
        experiment_id=experiment_id, message_key=key, message_id=None, priority=0, payload_ref=None,
        flags={"data": {"source": "GB1"}}, raw=key.encode(),
    )  # fmt: skip


def begin(ledger: Ledger, current: Generation) -> str | None:
    return ledger.begin(
        current.experiment_id, current.generation, current.attempt, run_id=f"run-{current.attempt}", host_pid=1,
        timeout_s=60.0,
    )  # fmt: skip


def test_a_life_from_its_message_to_its_answer(ledger: Ledger) -> None:
    current = accept(ledger)
    assert [found.experiment_id for found in ledger.due(5)] == ["e"]
    ledger.planned("e", 1, {"split": {"action": "computed"}})
    ledger.attach_run(current, "run-1")
    token = begin(ledger, current)
    assert token is not None
    assert begin(ledger, current) is None
    assert ledger.beat(token, stage="train", progress=0.5, note="x", pid=7).worker_pid == 7
    ledger.note_stage(token, "split", "computed")
    assert ledger.claim_steps("run-1", ["split"], "task", 7)
    assert not ledger.claim_steps("run-1", ["split"], "other", 8)
    running = ledger.by_run("run-1")
    assert running is not None
    assert ledger.retry(running, delay_s=0, reason="lost", counts=False)
    with pytest.raises(Superseded):
        ledger.beat(token, stage="train", progress=0.6, note="", pid=7)
    again = ledger.latest("E")  # ids are equal in either case, as in SQLite
    assert again is not None
    assert (again.attempt, again.losses, again.state) == (2, 1, "PENDING")
    assert begin(ledger, again) is not None
    last = ledger.latest("e")
    assert last is not None
    assert ledger.finish(last, Outcome("SUCCEEDED", summary={"test/mse": 0.5}), "r", '{"result_id": "r"}')
    assert not ledger.finish(last, Outcome("FAILED"), "r2", "{}")
    assert [row.result_id for row in ledger.undelivered()] == ["r"]
    ledger.delivered("r", 1)
    ledger.want_again("r")
    assert [(row.delivered, row.wanted) for row in ledger.undelivered()] == [(1, 2)]
    assert ledger.counts() == {"SUCCEEDED": 1}
    assert len(ledger.attempts_at("e", 1)) == 2
    assert [row["state"] for row in ledger.history("e")] == [
        "PENDING",
        "RUNNING",
        "PENDING",
        "RUNNING",
        "SUCCEEDED",
    ]


def test_a_known_experiment_in_another_case_is_the_same(ledger: Ledger) -> None:
    accept(ledger, "Gb1")
    with pytest.raises(AlreadyKnown):
        ledger.accept(
            experiment_id="gB1", message_key="k2", message_id=None, priority=0, payload_ref=None, flags={}, raw=b"2",
            may_repeat=False,
        )  # fmt: skip
    assert accept(ledger, "GB1", "k3").generation == 2
    assert [found.generation for found in ledger.listing(5)] == [2]


def test_refusals_copies_and_names(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.refuse(
            message_key="bad", experiment_id=None, result_id="r", payload="{}", raw=b"bad", kept=b"bad"
        )
    assert [(row.result_id, row.wanted) for row in ledger.undelivered()] == [("r", 2)]
    assert sum(ledger.decided_copies().values()) == 2
    (message,) = ledger.decided_copies()
    ledger.forget_decided({message: 1})
    assert ledger.decided_copies() == {message: 1}
    ledger.forget_decided({message: 2, "unknown": 1})
    assert ledger.decided_copies() == {}
    assert ledger.workdir_id() == ledger.workdir_id()
    assert ledger.former_names("b") == []
    assert ledger.former_names("c") == ["b"]


def test_the_rows_of_an_experiment_move_from_sqlite_to_here_and_go(ledger: Ledger, tmp_path: Path) -> None:
    local = Ledger(tmp_path / "state.db")
    current = accept(local)
    local.finish(current, Outcome("SUCCEEDED"), "r", "{}")
    rows = local.rows_of("e")
    with ledger.held() as held:
        assert held.put_back("e", rows) > 0
    with ledger.held() as held:
        assert held.put_back("e", rows) == 0
    assert ledger.rows_of("e")["generations"] == rows["generations"]
    with ledger.held() as held:
        assert held.forget("e") > 0
    assert ledger.latest("e") is None


def test_many_at_once_begin_one_attempt(ledger: Ledger) -> None:
    """One writer at a time: of eight that begin the same attempt, one gets it."""
    current = accept(ledger)
    tokens: list[str | None] = []
    threads = [threading.Thread(target=lambda: tokens.append(begin(ledger, current))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert sum(token is not None for token in tokens) == 1


def test_a_ledger_that_is_there_is_opened_again(ledger: Ledger, url: str) -> None:
    accept(ledger)
    again = Ledger(url)
    assert again.counts() == {"PENDING": 1}
    again.engine.dispose()
