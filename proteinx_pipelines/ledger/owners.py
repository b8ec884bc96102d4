"""Process of each part of the node: a table of `state.db`, which is less easily removed than a lock file.

The table is written with the standard library alone, since the supervisor, which loads little, writes it too. A row is
valid as long as its process lives; the start time distinguishes it from a later process of the same number, and the
boot id distinguishes one boot of the machine from another.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.clock import boot_id, timestamp

WAIT_S = 30.0
"""Seconds to wait for another writer of `state.db`."""
_TABLE = """CREATE TABLE IF NOT EXISTS owners (
    part TEXT PRIMARY KEY, pid INTEGER NOT NULL, birth REAL NOT NULL, boot TEXT NOT NULL, since TEXT NOT NULL)"""

Birth = Callable[[int], float | None]
"""Start time of a process, on a clock that nobody sets; None where there is none."""


@dataclass(frozen=True)
class Owner:
    """The process that is a part of the node."""

    pid: int
    since: str
    """Time when it became the owner (ISO 8601, UTC)."""


def claim(path: Path, part: str, birth: Birth) -> Owner | None:
    """Make this process the owner of a part, unless another living process is.

    Args:
        path: `state.db`; created where it is missing.
        part: name of the part.
        birth: gives the start time of a process.

    Returns:
        The living owner, or None: this process is the owner now. None as well where the file cannot be used:
        the next part that opens it reports that, and lock files hold all the same.
    """
    with contextlib.suppress(sqlite3.Error, OSError), _writing(path) as connection:
        connection.execute(_TABLE)
        found = _living(connection, part, birth)
        if found is not None and found.pid != os.getpid():
            return found
        row = (part, os.getpid(), birth(os.getpid()), boot_id(), timestamp())
        connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?)", row)
    return None


def release(path: Path, part: str) -> None:
    """Take this process's name off a part."""
    with contextlib.suppress(sqlite3.Error, OSError):
        if path.is_file():
            with _writing(path) as connection:
                connection.execute("DELETE FROM owners WHERE part = ? AND pid = ?", (part, os.getpid()))


def owner_of(path: Path, part: str, birth: Birth) -> Owner | None:
    """The living process that is a part of the node, or None."""
    if not path.is_file():
        return None
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(_connect(path)) as connection:
        return _living(connection, part, birth)
    return None


def _living(connection: sqlite3.Connection, part: str, birth: Birth) -> Owner | None:
    query = "SELECT pid, birth, boot, since FROM owners WHERE part = ?"
    row = connection.execute(query, (part,)).fetchone()
    if row is None or row[2] != boot_id():
        return None
    began = birth(int(row[0]))
    return Owner(int(row[0]), str(row[3])) if began is not None and abs(began - float(row[1])) < 1 else None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, with the write lock from its beginning: of two processes that look, one sees the other."""
    with contextlib.closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
