"""Standard errors of the chosen scores, from the columns that an import keeps beside them.

`data.error` names the column, or `auto` takes the one of the chosen score. A deviation is divided by the root of the
number of values behind it, if that is known; alone it is the error of a single measurement. Values that no measurement
has (0, negative, infinite) count as unknown.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.further import FurtherSummary, further_of
from proteinx_pipelines.catalog.scores import FIRST, columns_there, scores_of
from proteinx_pipelines.errors import CatalogError, UnknownScore
from proteinx_pipelines.flags.data import AUTO, NOTHING, DataFlags
from proteinx_pipelines.variant_files.error_columns import (
    COUNT,
    DEVIATION,
    ERROR,
    VALUES_IN_MEAN,
    is_of_replicates,
    score_of_error,
)
from proteinx_pipelines.variant_files.measurements import SCORE_KIND

_LEAST, _MOST = 1e-100, 1e100
"""Beyond them the square of an error is no number any more."""
Wanted = tuple[str, tuple[str, ...]]
"""A further column, and the sources to read it of."""


@dataclass(frozen=True)
class ErrorColumn:
    """Column with the errors of a source's scores."""

    name: str
    kind: str
    """`standard error`, `deviation`, or `score` if the user named one of those."""
    divided_by: str | None = None
    """Column with the number of values behind a deviation."""


@dataclass(frozen=True)
class ErrorColumns:
    """Columns of errors that are used."""

    used: Mapping[str, ErrorColumn] = field(default_factory=dict)
    """By source."""
    unclear: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source -> several columns of errors of its score, of which none is used."""

    def by_column(self) -> dict[ErrorColumn, tuple[str, ...]]:
        """Column -> its sources."""
        return {
            column: tuple(name for name, own in self.used.items() if own == column)
            for column in self.used.values()
        }

    def wanted(self) -> list[Wanted]:
        """Columns to read."""
        found = self.by_column().items()
        return [(name, its) for column, its in found for name in (column.name, column.divided_by) if name]


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors of M rows."""

    values: np.ndarray
    """float64 [M], above 0, NaN where unknown."""
    facts: Mapping[str, Mapping[str, Any]]
    """Source -> `column`, `kind`, `divided_by`, and `impossible`: values that count as unknown; or `unclear`."""


def error_columns(connection: sqlite3.Connection, flags: DataFlags) -> ErrorColumns:
    """Find the columns that `data.error` refers to.

    Raises:
        UnknownScore: no source has a column of that name; the message lists those that could be meant.
    """
    if flags.error == NOTHING:
        return ErrorColumns()
    ids = dict(connection.execute("SELECT source_text, id FROM sources").fetchall())
    beside = {name: further_of(connection, ids[name]) for name in flags.source if name in ids}
    if not any(beside.values()) and flags.error == AUTO:
        return ErrorColumns()
    scores = scores_of(connection, flags.source)
    if flags.error == AUTO:
        return _automatic(beside, scores, flags.score)
    used = {
        name: found for name in beside if (found := _named(beside[name], scores[name], flags)) is not None
    }
    if not used:
        raise UnknownScore(_lacking(flags.error, beside))
    return ErrorColumns(used)


def read_errors(
    cells: Mapping[Wanted, pa.ChunkedArray], columns: ErrorColumns, sources: pa.ChunkedArray
) -> StandardErrors:
    """Read the standard errors of M rows.

    Args:
        cells: each of `ErrorColumns.wanted` [M], null in other sources.
        columns: of `error_columns`.
        sources: string [M], source of each row.

    Raises:
        CatalogError: a column of errors holds text.
    """
    facts: dict[str, dict[str, Any]] = {
        name: {"unclear": list(among)} for name, among in columns.unclear.items()
    }
    values = np.full(len(sources), np.nan)
    for column, its in columns.by_column().items():
        found = _numbers(cells[column.name, its], column.name)
        known = (found > _LEAST) & (found < _MOST)
        impossible = ~known & ~np.isnan(found)
        told: dict[str, Any] = {"column": column.name, "kind": column.kind}
        if column.divided_by is not None:
            told["divided_by"] = column.divided_by
            count = _numbers(cells[column.divided_by, its], column.divided_by)
            known &= np.isfinite(count) & (count >= 1)
            found = found / np.sqrt(np.where(known, count, 1.0))
        values[known] = found[known]
        for name in its:
            own = np.asarray(pc.equal(sources, name))
            facts[name] = {**told, "impossible": int((impossible & own).sum())}
    return StandardErrors(values, dict(sorted(facts.items())))


def _automatic(
    beside: Mapping[str, Sequence[FurtherSummary]], scores: Mapping[str, Sequence[str]], score: str | None
) -> ErrorColumns:
    used, unclear = {}, {}
    for name, columns in beside.items():
        chosen = scores[name][0] if score in (None, FIRST) else score
        own = [c for c in columns if c.kind in (ERROR, DEVIATION) and _owner(c.name, scores[name]) == chosen]
        best = [c for c in own if c.kind == ERROR] or own
        if len(best) == 1:
            used[name] = _column(best[0], columns, scores[name])
        elif best:
            unclear[name] = tuple(c.name for c in best)
    return ErrorColumns(used, unclear)


def _named(columns: Sequence[FurtherSummary], scores: Sequence[str], flags: DataFlags) -> ErrorColumn | None:
    chosen = scores[0] if flags.score in (None, FIRST) else flags.score
    found = [c for c in columns if c.name == flags.error and c.name != chosen and c.kind in _NAMEABLE]
    return _column(found[0], columns, scores) if found else None


_NAMEABLE = (ERROR, DEVIATION, SCORE_KIND)


def _owner(name: str, scores: Sequence[str]) -> str:
    """The score that errors belong to: the one they are named after, or the first."""
    return score_of_error(name, scores) or scores[0]


def _column(found: FurtherSummary, columns: Sequence[FurtherSummary], scores: Sequence[str]) -> ErrorColumn:
    """The column with the number of values behind it; that number is known of the first score alone."""
    if found.kind != DEVIATION or _owner(found.name, scores) != scores[0]:
        return ErrorColumn(found.name, found.kind)
    of_mean = is_of_replicates(found.name)
    counts = [c.name for c in columns if c.kind == COUNT and (c.name == VALUES_IN_MEAN) == of_mean]
    return ErrorColumn(found.name, found.kind, counts[0] if len(counts) == 1 else None)


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException as error:
        raise CatalogError(
            f"the column {name!r} of `further_scores` holds something else than numbers: {error}"
        ) from error


def _lacking(name: str, beside: Mapping[str, Sequence[FurtherSummary]]) -> str:
    there = {source: [c.name for c in columns if c.kind in _NAMEABLE] for source, columns in beside.items()}
    return (
        f"`data.error`: no source has a column {name!r} beside its scores:\n  {columns_there(name, there)}\n"
        f"Name one of them, `{AUTO}` or `{NOTHING}`, or import the file with `--further-column`."
    )
