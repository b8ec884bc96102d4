"""Run SELECTs through the ADBC driver: Arrow tables without a Python object per cell.

A reader is one read-only transaction on its own connection. `where` writes the SQL, `reading` interprets the rows.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import adbc_driver_manager
import pyarrow as pa

from proteinx_pipelines.catalog.database import BUSY_TIMEOUT_S, busy, read_uri
from proteinx_pipelines.catalog.where import Query
from proteinx_pipelines.errors import BackendError, CatalogError

if TYPE_CHECKING:
    import adbc_driver_sqlite.dbapi as adbc

_PRAGMAS = {"query_only": "ON", "mmap_size": 1 << 30}


class Reader:
    """One read-only transaction on a catalog: all reads see the same state."""

    def __init__(self, database: Path, cursor: "adbc.Cursor") -> None:
        self._database = database
        self._cursor = cursor

    def fetch(self, query: Query, *, at_most: int) -> pa.Table:
        """Fetch the rows of a query, `at_most` of them, as one batch.

        The driver takes a column's type from its first batch: one that begins with NULLs or whole numbers would get
        the wrong one. It also reserves memory for a whole batch, which the rows keep: a round large number made the
        step process too big (32 GB of addresses) for the system to let it fork.
        """
        self._cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(max(1, at_most))})
        self._cursor.execute(query.sql, query.parameters)
        return self._cursor.fetch_arrow_table()

    def fetch_both(self, first: Query, second: Query, *, at_most: int) -> list[pa.Table]:
        """Fetch the rows of two queries, the second through another connection in parallel: SQLite uses one core each.

        Both see one state of the file: in the rollback mode of journals nobody can commit while this reader reads. A
        file in write-ahead mode (a user's own) is read by this one alone, and so is one that cannot be opened twice.
        """
        if self._may_change():
            return [self.fetch(query, at_most=at_most) for query in (first, second)]
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(_fetched_apart, self._database, second, at_most)
            rows, others = self.fetch(first, at_most=at_most), coming.result()
        return [rows, self.fetch(second, at_most=at_most) if others is None else others]

    def _may_change(self) -> bool:
        mode = self.fetch(Query("PRAGMA journal_mode", ()), at_most=1)
        return bool(mode.column(0)[0].as_py() == "wal")


@contextmanager
def open_reader(database: Path, *, wait_s: float = BUSY_TIMEOUT_S) -> Iterator[Reader]:
    """Open a reader of a catalog.

    Raises:
        CatalogError: the file cannot be read.
        BackendError: an import held the file for longer than `wait_s` seconds; try again later.
    """
    import adbc_driver_sqlite.dbapi as adbc  # imports pandas: half a second that the daemon need not wait

    try:
        with adbc.connect(read_uri(database), autocommit=False) as connection, connection.cursor() as cursor:
            for name, value in {**_PRAGMAS, "busy_timeout": int(wait_s * 1000)}.items():
                cursor.execute(f"PRAGMA {name} = {value}")
            yield Reader(database, cursor)
    except adbc_driver_manager.Error as error:
        if "locked" in str(error) or "busy" in str(error):
            raise busy(database) from error
        raise CatalogError(f"{database} cannot be read: {error}") from error


def _fetched_apart(database: Path, query: Query, at_most: int) -> pa.Table | None:
    """Fetch rows through another connection; None if it would have to wait for an import that waits for this reader."""
    try:
        with open_reader(database, wait_s=0) as reader:
            return reader.fetch(query, at_most=at_most)
    except BackendError:
        return None
