"""Further measured columns of a source: replicates, deviations, standard errors, further scores.

They are kept in two separate tables, so that the table `mutations` does not change.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from proteinx_pipelines.catalog.writing import CatalogWriter
from proteinx_pipelines.variant_files.measurements import FurtherColumn


@dataclass(frozen=True)
class FurtherSummary:
    """One further column of a source."""

    name: str
    kind: str
    """`replicate`, `deviation`, `standard error`, `score`, ..."""
    rows: int
    """Number of rows with a value."""


def add_further(
    writer: CatalogWriter, source_id: int, id_before: int, columns: Sequence[FurtherColumn]
) -> None:
    """Store further columns of the rows just inserted, whose ids follow `id_before`."""
    if not columns:
        return
    found = writer.run(
        "SELECT id FROM mutations WHERE source = ? AND id > ? ORDER BY id", source_id, id_before
    )
    ids = np.array([row[0] for row in found], np.int64)
    for column in columns:
        here = np.flatnonzero(np.isfinite(column.values))
        if not len(here):
            continue
        writer.append(
            "further_scores",
            pa.table(
                {
                    "mutation": ids[here],
                    "source": np.full(len(here), source_id),
                    "name": pa.array([column.name] * len(here)),
                    "kind": pa.array([column.kind] * len(here)),
                    "value": column.values[here],
                }
            ),
        )


def further_values(connection: sqlite3.Connection, source_id: int) -> dict[str, dict[int, float]]:
    """Read further columns: name -> row id -> number."""
    found: dict[str, dict[int, float]] = {}
    if has_further(connection):
        sql = "SELECT name, mutation, value FROM further_scores WHERE source = ? ORDER BY rowid"
        for name, row, value in connection.execute(sql, (source_id,)):
            found.setdefault(name, {})[row] = value
    return found


def has_further(connection: sqlite3.Connection) -> bool:
    """True if a catalog has the table; a user's own may not."""
    try:
        connection.execute("EXPLAIN SELECT value FROM further_scores").close()
    except sqlite3.OperationalError:
        return False
    return True


def further_of(connection: sqlite3.Connection, source_id: int) -> list[FurtherSummary]:
    """List the further columns of a source, in the order of its file."""
    if not has_further(connection):
        return []
    found = connection.execute(
        "SELECT name, kind, count(*) FROM further_scores WHERE source = ? GROUP BY name, kind ORDER BY min(rowid)",
        (source_id,),
    )
    return [FurtherSummary(*row) for row in found]
