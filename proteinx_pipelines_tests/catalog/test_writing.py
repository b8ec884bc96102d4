"""The transaction of an import: beside another program's, and where it begins."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from proteinx_pipelines.catalog import writing
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import BackendError

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@contextmanager
def held_by_another_process(database):
    """Locks belong to processes: within this one they would not be seen."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("\n")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "assay.csv"
    path.write_text("mutant,DMS_score\nA1C,1\n")
    return path


def test_a_catalog_that_another_program_holds_is_busy_not_broken(tmp_path, file, monkeypatch):
    database = tmp_path / "database.db"
    import_file(database, file, template="AC", name="first")
    monkeypatch.setitem(writing._PRAGMAS, "busy_timeout", 50)
    with held_by_another_process(database), pytest.raises(BackendError, match="held by another program"):
        import_file(database, file, template="AC", name="second")
    assert import_file(database, file, template="AC", name="second").rows == 1


def test_the_write_lock_is_taken_before_anything_is_read(tmp_path, file):
    """A transaction that had read before another one wrote would end in "database is locked" after all its work."""
    database = tmp_path / "database.db"
    import_file(database, file, template="AC")
    try_to_write = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    with writing.open_for_import(database):
        done = subprocess.run(
            [sys.executable, "-c", try_to_write, str(database)], capture_output=True, text=True
        )
    assert "database is locked" in done.stderr
