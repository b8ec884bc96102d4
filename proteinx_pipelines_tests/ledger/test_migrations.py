"""A `state.db` of release 0.1.0 becomes one of today: every generation in both halves, nothing lost or run again."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.ledger import migrations
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.ledger.tables import SCHEMA_VERSION

RECORDED = Path(__file__).parents[1] / "frozen" / "release_0_1_0" / "state.db"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A copy of what release 0.1.0 wrote."""
    return Path(shutil.copy(RECORDED, tmp_path / "state.db"))


def rows(path: Path, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def test_every_generation_of_the_release_is_there_with_both_halves(recorded: Path) -> None:
    before = rows(recorded, "SELECT * FROM generations ORDER BY sequence")
    assert len(before) == 9
    Ledger(recorded)
    after = rows(recorded, "SELECT * FROM generations ORDER BY sequence")
    assert [{name: row[name] for name in old} for old, row in zip(before, after, strict=True)] == before
    assert rows(recorded, "PRAGMA user_version") == [{"user_version": SCHEMA_VERSION}]
    names = {row["name"]: row["type"] for row in rows(recorded, "SELECT name, type FROM sqlite_master")}
    assert (names["lives"], names["executions"], names["generations"]) == ("table", "table", "view")
    assert "generations_before" not in names


def test_messages_results_and_transitions_stay_as_they_were(recorded: Path) -> None:
    tables = ("inbox", "outbox", "transitions", "step_claims")
    before = {name: rows(recorded, f"SELECT * FROM {name}") for name in tables}
    state = Ledger(recorded)
    for name in tables:
        found = rows(recorded, f"SELECT * FROM {name}")
        assert [
            {key: row[key] for key in old} for old, row in zip(before[name], found, strict=True)
        ] == before[name]
    assert state.undelivered() == []
    assert state.due(10) == []


def test_numbers_go_on_where_they_ended_also_behind_what_was_removed(recorded: Path) -> None:
    """The number of a removed generation must not be given again."""
    connection = sqlite3.connect(recorded)
    last = connection.execute("SELECT MAX(sequence) FROM generations").fetchone()[0]
    connection.execute("DELETE FROM generations WHERE sequence = ?", (last,))
    connection.commit()
    connection.close()
    state = Ledger(recorded)
    state.accept(
        experiment_id="new",
        message_key="k",
        message_id=None,
        priority=0,
        payload_ref=None,
        flags={},
        raw=b"{}",
    )
    (row,) = rows(recorded, "SELECT sequence FROM lives WHERE experiment_id = 'new'")
    assert row["sequence"] == last + 1


def test_a_migration_that_dies_leaves_the_old_file(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(recorded, "SELECT * FROM generations ORDER BY sequence")

    def die(_connection: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(migrations, "_show_whole", die)
        with pytest.raises(KeyboardInterrupt):
            Ledger(recorded)
    assert rows(recorded, "SELECT * FROM generations ORDER BY sequence") == before
    assert rows(recorded, "PRAGMA user_version") == [{"user_version": 4}]
    assert Ledger(recorded).counts() == {"CANCELLED": 2, "FAILED": 2, "SUCCEEDED": 5}


def test_an_experiment_of_the_release_gets_its_next_generation(recorded: Path) -> None:
    state = Ledger(recorded)
    current = state.accept(
        experiment_id="GB1-RIDGE", message_key="again", message_id=None, priority=0, payload_ref=None, flags={},
        raw=b"{}",
    )  # fmt: skip
    assert (current.experiment_id, current.generation) == ("gb1-ridge", 3)
    token = state.begin("gb1-ridge", 3, 1, run_id="run", host_pid=1, timeout_s=None)
    assert token is not None
    assert state.beat(token, stage="train", progress=0.5, note="", pid=1).worker_pid == 1


def test_a_removed_life_takes_its_execution_along(recorded: Path) -> None:
    state = Ledger(recorded)
    with state.held() as held:
        assert held.forget("gb1-ridge") > 0
    assert rows(recorded, "SELECT COUNT(*) AS n FROM lives") == rows(
        recorded, "SELECT COUNT(*) AS n FROM executions"
    )
