"""Upper bounds on the size of a selection without reading it, for checks before an experiment starts."""

from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.where import count_queries
from proteinx_pipelines.flags.data import DataFlags

_LEAST_ROW_BYTES = 12
"""Bytes of a row in the file, with its entry in the index; the smallest measured ones have more."""


@dataclass(frozen=True)
class Extent:
    """Size of a selection."""

    rows: int
    residues: int
    """Length of the longest template among its sources."""


def rough_extent(database: Path, flags: DataFlags) -> Extent:
    """Upper bound on the number of rows, from the size of the file, without counting.

    Raises:
        CatalogError: the file is not a catalog.
    """
    with open_for_reading(database) as connection:
        templates = connection.execute("SELECT source_text, template FROM sources").fetchall()
    lengths = [len(str(template or "")) for name, template in templates if name in flags.source]
    rows = database.stat().st_size // _LEAST_ROW_BYTES
    return Extent(rows if flags.limit is None else min(rows, flags.limit), max(lengths, default=0))


def exact_rows(database: Path, flags: DataFlags) -> int:
    """Count the rows of a selection, which reads every row of its sources.

    Raises:
        CatalogError: the file is not a catalog.
    """
    *_, (_, query) = count_queries(flags)
    with open_for_reading(database) as connection:
        rows = int(connection.execute(query.sql, query.parameters).fetchone()[0])
    return rows if flags.limit is None else min(rows, flags.limit)
