"""Backups: as of one moment while somebody writes, whole, put back only where nothing is, and refused when spoilt."""

import json
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.errors import CorruptArtifact, InputError, MissingFile
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.node.lifecycle.backups import INDEX, BackupFailed, back_up, restore
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.node.world import World


@pytest.fixture
def lived_in(world: World) -> Settings:
    """A WORKDIR with a history, a catalog, an experiment, and a Master with a file."""
    world.arrive("gb1-001")
    settings = world.settings
    write_catalog(settings.database_path, n_singles=10, n_doubles=0)
    report = settings.experiments_dir / "gb1-001" / "artifacts" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    master = load_master_settings(settings, {})
    Master.open(master).close()
    stored = master.stored("ab" * 32)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"file")
    for part in ("host", "worker", "sensor"):
        world.no_part(part)
    return settings


def empty(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, workdir=tmp_path / "new")


def test_what_was_saved_comes_back(lived_in: Settings, tmp_path: Path) -> None:
    made = back_up(lived_in, tmp_path / "backup")
    assert set(made.databases) == {"state.db", "database.db", "master.db"}
    new = empty(lived_in, tmp_path)
    assert restore(new, tmp_path / "backup").n_files == made.n_files == 2
    latest = Ledger(new.state_path).latest("gb1-001")
    assert latest is not None
    assert latest.state == "PENDING"
    assert (new.experiments_dir / "gb1-001" / "artifacts" / "report.json").read_text() == "{}"
    assert load_master_settings(new, {}).stored("ab" * 32).read_bytes() == b"file"


def test_a_second_backup_copies_what_has_changed_and_forgets_what_is_gone(
    lived_in: Settings, tmp_path: Path
) -> None:
    back_up(lived_in, tmp_path / "backup")
    (lived_in.experiments_dir / "gb1-001" / "artifacts" / "report.json").unlink()
    (lived_in.experiments_dir / "gb1-001" / "new.json").write_text("{}")
    made = back_up(lived_in, tmp_path / "backup")
    assert (made.n_files, made.n_copied) == (2, 1)
    kept = sorted(path.name for path in (tmp_path / "backup" / "experiments").rglob("*") if path.is_file())
    assert kept == ["new.json"]


def test_experiments_that_a_shared_store_has_are_left_out(lived_in: Settings, tmp_path: Path) -> None:
    shared = replace(lived_in, store="file:///somewhere")
    assert back_up(shared, tmp_path / "a").n_files == 1
    assert back_up(shared, tmp_path / "b", experiments=True).n_files == 2


def test_a_database_is_copied_as_of_one_moment_while_it_is_written(
    lived_in: Settings, tmp_path: Path
) -> None:
    """Two tables that change together are never seen apart: copying the file by hand does see that."""
    stop = threading.Event()
    with sqlite3.connect(lived_in.state_path) as connection:
        connection.executescript("CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER, text TEXT);")

    def write() -> None:
        connection = sqlite3.connect(lived_in.state_path, timeout=30)
        number = 0
        while not stop.is_set():
            number += 1
            with connection:
                connection.execute("INSERT INTO a VALUES (?)", (number,))
                connection.execute("INSERT INTO b VALUES (?, ?)", (number, "x" * 2000))
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            back_up(lived_in, tmp_path / "backup")
            copy = sqlite3.connect(tmp_path / "backup" / "state.db")
            counts = [copy.execute(f"SELECT COUNT(*), MAX(n) FROM {name}").fetchone() for name in ("a", "b")]
            copy.close()
            assert counts[0] == counts[1]
    finally:
        stop.set()
        thread.join()


def test_a_backup_is_put_back_only_where_nothing_is(lived_in: Settings, world: World, tmp_path: Path) -> None:
    back_up(lived_in, tmp_path / "backup")
    with pytest.raises(InputError, match="there already"):
        restore(lived_in, tmp_path / "backup")
    world.part("worker", 1)
    with pytest.raises(InputError, match=r"worker of .* runs"):
        restore(lived_in, tmp_path / "backup")
    with pytest.raises(InputError, match="inside of the WORKDIR"):
        back_up(lived_in, lived_in.workdir / "backup")


def test_a_spoilt_or_unfinished_backup_is_refused_and_changes_nothing(
    lived_in: Settings, tmp_path: Path
) -> None:
    folder, new = tmp_path / "backup", empty(lived_in, tmp_path)
    back_up(lived_in, folder)
    index = json.loads((folder / INDEX).read_text())
    with (folder / "state.db").open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"!")
    with pytest.raises(CorruptArtifact, match=r"state\.db"):
        restore(new, folder)
    (folder / INDEX).write_text(json.dumps({**index, "format": 9}))
    with pytest.raises(MissingFile, match="format 9"):
        restore(new, folder)
    (folder / INDEX).unlink()
    with pytest.raises(MissingFile, match="no whole backup"):
        restore(new, folder)
    assert not new.workdir.exists()


def test_a_damaged_database_is_told_and_not_saved(lived_in: Settings, tmp_path: Path) -> None:
    lived_in.database_path.write_bytes(b"SQLite format 3\x00" + b"!" * 8000)
    with pytest.raises(BackupFailed, match=r"database\.db"):
        back_up(lived_in, tmp_path / "backup")
    assert not (tmp_path / "backup" / INDEX).exists()


def test_a_workdir_without_anything_has_no_backup(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no database to save"):
        back_up(settings, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_no_password_is_an_argument_of_a_program(
    lived_in: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on a machine reads the arguments of a process."""
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/words\necho "$PGPASSWORD" > {tmp_path}/secret\nexit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("PROTEINX_MASTER_DATABASE_URL", "postgresql://u:canary-9e1f@h/d")
    with pytest.raises(BackupFailed, match="pg_dump failed"):
        back_up(lived_in, tmp_path / "backup")
    assert "--dbname postgresql://u@h/d" in (tmp_path / "words").read_text()
    assert "canary" not in (tmp_path / "words").read_text()
    assert (tmp_path / "secret").read_text() == "canary-9e1f\n"
