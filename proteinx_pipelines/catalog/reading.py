"""Run the SELECT of `where` and return its rows as an Arrow table with the types of `records`.

The statement is first prepared under the authorizer of `database`, then run by `fetching` on connections that are
read-only as well.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.fetching import Reader, open_reader
from proteinx_pipelines.catalog.late import late_conditions, that_pass
from proteinx_pipelines.catalog.limits import refuse_long_cells, try_query
from proteinx_pipelines.catalog.numbering import further_column, offsets_of
from proteinx_pipelines.catalog.scores import chosen_further
from proteinx_pipelines.catalog.standard_errors import error_columns, read_errors
from proteinx_pipelines.catalog.where import (
    Query,
    Reach,
    beside_query,
    count_queries,
    cut_query,
    half_queries,
    label_of,
    property_query,
    row_query,
)
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.flags.base import LARGEST_COUNT
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.records import PROPERTY, SELECTION_COLUMNS, STANDARD_ERROR

MANY_ROWS = 200_000
"""Least rows to read in two halves in parallel; below, a second connection costs more than it saves."""
_MOST_RESERVED = 4_000_000
"""Rows that memory may be reserved for (never touched: 130 MB of addresses) without knowing that so many are there."""
_UNIQUE_IDS = Query(
    "SELECT count(*) = 1 AND max(name LIKE 'id' AND type LIKE 'integer') FROM pragma_table_info('mutations') WHERE pk",
    (),
)
"""Query that checks that row ids are SQLite's own, unique whole numbers; in a user's own file they may be anything."""
_SOURCES = "SELECT id, source_text, template, {offset} AS offset FROM sources"
_COLUMN_TYPES = {
    "source": (pa.int64(),),
    "mutant": (pa.string(),),
    "DMS_score": (pa.float64(), pa.int64()),
    "DMS_score_bin": (pa.string(), pa.int64(), pa.float64()),
    "mut_num": (pa.int64(),),
}
"""Allowed SQLite types of each column; the declared types of a user's own file are not binding."""


@dataclass(frozen=True)
class FoundRows:
    """Result of a query, read in one transaction: a concurrent import has no effect on it."""

    rows: pa.Table
    """M rows with `records.SELECTION_COLUMNS`, ordered by source and row id; `STANDARD_ERROR` if any is known."""
    templates: dict[str, str]
    """Template of every source of the catalog, by its name."""
    offsets: dict[str, int]
    """Position in the user's numbering minus position in the template, for every source of the catalog."""
    query: Query
    late: tuple[str, ...] = ()
    """Labels of conditions evaluated on rows: those on mutants in the user's numbering."""
    errors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Facts about standard errors by source; see `standard_errors.StandardErrors`."""


def source_names(database: Path) -> list[str]:
    """List the names of all sources, in alphabetical order."""
    with open_for_reading(database) as connection:
        found = connection.execute("SELECT source_text FROM sources ORDER BY source_text")
        return [name for (name,) in found]


def read_rows(database: Path, flags: DataFlags) -> FoundRows:
    """Read all rows that the flags choose, before `data.limit`.

    Raises:
        FlagError: a condition compares a column with something it cannot hold.
        UnknownScore: a source has no score of the name `data.score`, or none a column of the name `data.error`.
        CatalogError: the file is not a catalog, or a column holds a value of a wrong type.
    """
    with open_for_reading(database) as connection:
        reach = _reach(connection, flags)
        properties = {name: _property_reach(connection, flags, name) for name in flags.properties}
        errors_in = error_columns(connection, flags)
        query = row_query(flags, reach)
        # Preparing a statement shows the authorizer all of its tables, columns and functions.
        connection.execute(f"EXPLAIN {query.sql}", query.parameters).close()
        try_query(connection, query)
        all_sources = Query(_SOURCES.format(offset=further_column(connection, "offset")), ())
    with open_reader(database) as reader:
        parts = _fetch_rows(reader, flags, query, reach)
        n_rows = sum(part.num_rows for part in parts)
        further = {
            name: reader.fetch(property_query(flags, reach, score), at_most=n_rows)
            for name, score in properties.items()
        }
        beside = {
            wanted: reader.fetch(beside_query(flags, reach, *wanted), at_most=n_rows).column("value")
            for wanted in errors_in.wanted()
        }
        n_sources = _row(reader, Query("SELECT count(*) FROM sources", ()))[0]
        sources = reader.fetch(all_sources, at_most=n_sources)
    _check_types(database, parts)
    for table in (*parts, sources):
        refuse_long_cells(database, dict(zip(table.column_names, table.columns, strict=True)))
    ids, names, templates, offsets = (column.to_pylist() for column in sources.columns)
    by_id = dict(zip(ids, names, strict=True))
    by_name = dict(zip(names, templates, strict=True))
    _check_sources(database, flags, by_name)
    rows = pa.concat_tables([_as_selection(part, by_id) for part in parts])
    for name, found in further.items():
        rows = rows.append_column(PROPERTY + name, found.column("DMS_score").cast(pa.float64()))
    errors = read_errors(beside, errors_in, rows.column("source"))
    if np.isfinite(errors.values).any():
        rows = rows.append_column(STANDARD_ERROR, pa.array(errors.values, from_pandas=True))
    numbering = {name: int(offset or 0) for name, offset in zip(names, offsets, strict=True)}
    left = [rows, *(left for _, left in that_pass(rows, flags, reach.late, numbering))]
    usable = {name: text if isinstance(text, str) else "" for name, text in by_name.items()}
    said = tuple(label_of(flags, place) for place in sorted(reach.late))
    return FoundRows(left[-1], usable, numbering, query, said, errors.facts)


def _reach(connection: sqlite3.Connection, flags: DataFlags) -> Reach:
    """Needs of the flags beyond plain columns."""
    further = chosen_further(connection, flags.source, flags.score)
    late = late_conditions(flags, offsets_of(connection))
    return Reach(late, flags.score if further else None, further)


def _property_reach(connection: sqlite3.Connection, flags: DataFlags, name: str) -> Reach:
    further = chosen_further(connection, flags.source, name, "data.properties")
    return Reach(frozenset(), name if further else None, further)


def count_rows(database: Path, flags: DataFlags) -> list[tuple[str, int]]:
    """Yield the label of each condition, and the number of rows left after it."""
    with open_for_reading(database) as connection:
        reach = _reach(connection, flags)
        counts = [
            (label, int(connection.execute(query.sql, query.parameters).fetchone()[0]))
            for label, query in count_queries(flags, reach)
        ]
    if not reach.late or not counts[-1][1]:
        return counts
    where = [each for place, each in enumerate(flags.where) if place not in reach.late]
    found = read_rows(database, flags.model_copy(update={"where": tuple(where)}))
    passing = that_pass(found.rows, flags, reach.late, found.offsets)
    return [*counts, *((label_of(flags, place), rows.num_rows) for place, rows in passing)]


def _fetch_rows(reader: Reader, flags: DataFlags, query: Query, reach: Reach) -> list[pa.Table]:
    """Fetch the rows of `query` in order; many rows as two tables read in parallel."""
    at_most, middle = _extent(reader, flags)
    halves = half_queries(flags, middle, reach) if middle else None
    if halves is None:
        return [reader.fetch(query, at_most=at_most)]
    return reader.fetch_both(*halves, at_most=at_most // 2 + 1)


def _extent(reader: Reader, flags: DataFlags) -> tuple[int, tuple[int, int] | None]:
    """Upper bound on the rows of `data.source`; for many rows also source id and row id of one near the middle."""
    unique = _row(reader, _UNIQUE_IDS) == [1]
    if unique:
        first, last = (reader.fetch(cut_query(flags, n), at_most=1).to_pylist() for n in (0, -1))
        if first and first[0]["source"] == last[0]["source"]:
            # Rows of a source usually have consecutive ids, which bound a number that is slow to count.
            n = last[0]["id"] - first[0]["id"] + 1
            if n <= _MOST_RESERVED:
                middle = (first[0]["source"], first[0]["id"] + n // 2)
                return n, middle if n >= MANY_ROWS else None
    _, of_sources = next(count_queries(flags))
    n = int(_row(reader, of_sources)[0])
    if n < MANY_ROWS or not unique:
        return n, None
    source, row = _row(reader, cut_query(flags, n // 2))
    return n, (source, row)


def _row(reader: Reader, query: Query) -> list[int]:
    """Numbers in the single row of a query."""
    return [column[0].as_py() for column in reader.fetch(query, at_most=1).columns]


def _check_types(database: Path, parts: Sequence[pa.Table]) -> None:
    problems = []
    for name, types in _COLUMN_TYPES.items():
        columns = [part.column(name) for part in parts]
        found = {str(c.type) for c in columns if c.type not in types and c.null_count < len(c)}
        if found:
            held = " and ".join(sorted(found))
            problems.append(f"`{name}` holds {held} values; {types[0]} is expected, or NULL if empty")
        elif name == "mut_num":
            problems += _beyond_counts(columns)
        empty = sum(column.null_count for column in columns)
        if empty and name in ("mutant", "mut_num"):
            problems.append(f"`{name}` is NULL in {empty:,} rows; every row needs one")
    if problems:
        raise CatalogError(f"{database} has rows that are not variants:", problems)


def _beyond_counts(columns: Sequence[pa.ChunkedArray]) -> list[str]:
    """Problem of a number of mutations that no sequence can have; None if there is none."""
    ends = [pc.min_max(column).as_py() for column in columns if len(column) > column.null_count]
    least, most = min((end["min"] for end in ends), default=0), max((end["max"] for end in ends), default=0)
    if least >= 0 and most <= LARGEST_COUNT:
        return []
    return [
        f"`mut_num` goes from {least:,} to {most:,}; whole numbers from 0 to {LARGEST_COUNT:,} are expected"
    ]


def _check_sources(database: Path, flags: DataFlags, templates: Mapping[str, object]) -> None:
    """Check the templates of the requested sources; others are not checked."""
    problems = []
    for name in flags.source:
        template = templates.get(name, "unknown")
        if not isinstance(template, str) or not template:
            found = "NULL" if template is None else "empty" if template == "" else "no text"
            problems.append(f"`template` of the source {name!r} is {found}")
    if problems:
        remedy = (
            "Set `template` in its row of `sources` to a sequence of letters, or import the source again."
        )
        raise CatalogError(f"{database} has sources without a sequence:", problems, remedy=remedy)


def _as_selection(rows: pa.Table, names: dict[int, str]) -> pa.Table:
    """Replace source ids by names, and cast every column to the type of `records`."""
    if rows.num_rows == 0:
        return _selection_schema().empty_table()
    ids = pa.array(names.keys(), pa.int64())
    sources = pc.take(pa.array(names.values(), pa.string()), pc.index_in(rows.column("source"), ids))
    columns = [sources, *(rows.column(name) for name in SELECTION_COLUMNS[1:])]
    return pa.table(dict(zip(SELECTION_COLUMNS, columns, strict=True))).cast(_selection_schema())


def _selection_schema() -> pa.Schema:
    types = (pa.string(), pa.string(), pa.float64(), pa.string(), pa.int32())
    return pa.schema(list(zip(SELECTION_COLUMNS, types, strict=True)))
