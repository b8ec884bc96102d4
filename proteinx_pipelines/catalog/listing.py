"""Summaries of a catalog for users: its sources, and one in detail."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.numbering import offsets_of
from proteinx_pipelines.catalog.scores import scores_of
from proteinx_pipelines.domain.histograms import histogram
from proteinx_pipelines.errors import UnknownSource
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.nearest import did_you_mean

_N_BINS = 20
_N_FIRST = 5
_MEASURED = ("DMS_score", "DMS_score_bin", "mut_num")


@dataclass(frozen=True)
class SourceSummary:
    """One line of the list of sources."""

    name: str
    rows: int
    without_score: int
    template_length: int
    """Residues."""
    max_mutations: int | None
    """Most mutations of one mutant; None without rows."""
    min_score: float | None
    max_score: float | None


@dataclass(frozen=True)
class SourceDetails:
    """One source in detail."""

    summary: SourceSummary
    template: str
    mutation_counts: dict[int, int]
    """Number of mutations -> rows."""
    histogram: list[int]
    """Rows in each of the bins between neighbouring edges; empty without scores."""
    edges: list[float]
    """One more than `histogram`, in the assay's unit."""
    first_rows: list[dict[str, Any]]
    """`mutant` in the user's numbering (followed by `template_mutant` if that differs), `DMS_score`,
    `DMS_score_bin`, `mut_num` of the first rows."""
    offset: int = 0
    """Position in the user's numbering minus position in the template."""
    scores: list[str] = field(default_factory=list)
    """Names of the properties that were measured, for `data.score`; the first one first."""


def list_sources(database: Path) -> list[SourceSummary]:
    """All sources, by name.

    Raises:
        CatalogError: the file is not there or not a catalog.
    """
    with open_for_reading(database) as connection:
        sources = connection.execute(
            "SELECT id, source_text, template FROM sources ORDER BY source_text"
        ).fetchall()
        return [_summary(connection, *source) for source in sources]


def show_source(database: Path, name: str) -> SourceDetails:
    """One source in detail.

    Raises:
        UnknownSource: there is no source of this name; the message has the closest one.
    """
    with open_for_reading(database) as connection:
        found = {name: source_id_of(connection, database, name)}
        (template,) = connection.execute(
            "SELECT template FROM sources WHERE id = ?", (found[name],)
        ).fetchone()
        counts = connection.execute(
            "SELECT mut_num, count(*) FROM mutations WHERE source = ? GROUP BY mut_num ORDER BY mut_num",
            (found[name],),
        )
        histogram, edges = _histogram(connection, found[name])
        return SourceDetails(
            summary=_summary(connection, found[name], name, template),
            template=template,
            mutation_counts=dict(counts),
            histogram=histogram,
            edges=edges,
            first_rows=_first_rows(connection, found[name], offsets_of(connection).get(name, 0)),
            offset=offsets_of(connection).get(name, 0),
            scores=scores_of(connection, [name])[name],
        )


def source_id_of(connection: sqlite3.Connection, database: Path, name: str) -> int:
    """Look up the id of a source.

    Raises:
        UnknownSource: there is none of this name; the message has the closest one.
    """
    found = dict(connection.execute("SELECT source_text, id FROM sources"))
    if name not in found:
        hint = did_you_mean(name, found)
        raise UnknownSource(f"{name!r} is not in {database}.{hint} `proteinx db list` lists the sources.")
    return int(found[name])


def _summary(connection: sqlite3.Connection, source_id: int, name: str, template: str) -> SourceSummary:
    rows, scored, most, low, high = connection.execute(
        "SELECT count(*), count(DMS_score), max(mut_num), min(DMS_score), max(DMS_score) FROM mutations "
        "WHERE source = ?",
        (source_id,),
    ).fetchone()
    return SourceSummary(name, rows, rows - scored, len(template), most, low, high)


def _histogram(connection: sqlite3.Connection, source_id: int) -> tuple[list[int], list[float]]:
    found = connection.execute(
        "SELECT DMS_score FROM mutations WHERE source = ? AND DMS_score IS NOT NULL", (source_id,)
    )
    scores = np.fromiter((score for (score,) in found), np.float64)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return [], []
    counts, edges = histogram(scores, _N_BINS)
    return counts.tolist(), edges.tolist()


def _first_rows(connection: sqlite3.Connection, source_id: int, offset: int) -> list[dict[str, Any]]:
    found = connection.execute(
        "SELECT mutant, DMS_score, DMS_score_bin, mut_num FROM mutations WHERE source = ? ORDER BY id LIMIT ?",
        (source_id, _N_FIRST),
    ).fetchall()
    written = renumbered([mutant for mutant, *_ in found], offset).to_pylist()
    return [
        {
            "mutant": shown,
            **({"template_mutant": mutant} if offset else {}),
            **dict(zip(_MEASURED, rest, strict=True)),
        }
        for shown, (mutant, *rest) in zip(written, found, strict=True)
    ]
