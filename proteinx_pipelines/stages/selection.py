"""Selection stage: rows of the catalog chosen for an experiment, and the query that chose them.

Mutants are not checked here (the transform stage does that); replicates stay separate rows.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.reading import count_rows, read_rows, source_names
from proteinx_pipelines.catalog.sampling import draw_rows
from proteinx_pipelines.errors import EmptySelection, UnknownSource
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.records import STANDARD_ERROR, Selection

SELECTION_VERSION = "2"
"""Raise it when the same flags and catalog give other rows."""
_log = logging.getLogger(__name__)
_LISTED_SOURCES = 20
_LABEL_LENGTH = 120


def select_variants(
    database: Path, flags: DataFlags, *, named_by: str = "data.source", excluded: Sequence[str] = ()
) -> Selection:
    """Choose the rows that satisfy all conditions of `data.*`, at most `data.limit` of them.

    Args:
        database: the catalog.
        flags: conditions.
        named_by: flag that names the sources, for messages.
        excluded: those of `design.exclude_sources`, which a later stage reads and which must be in the catalog too.

    Returns:
        M >= 1 rows ordered by source and row id; the same file and flags give the same rows.

    Raises:
        UnknownScore: a source has no score of the name `data.score`, or none a column of the name `data.error`.
        UnknownSource: a flag names data sets that are not in the catalog; import them or correct the names.
        EmptySelection: no row is left; the message says after which condition. Loosen that one.
        FlagError: a condition compares a column with something it cannot hold.
        CatalogError: the file is not a catalog.
    """
    wanted = {named_by: flags.source, "design.exclude_sources": excluded}
    _check_sources(database, wanted, source_names(database))
    found = read_rows(database, flags)
    if not found.rows.num_rows:
        raise EmptySelection(_explain_empty(count_rows(database, flags)))
    _tell_errors(found.errors)
    chosen = found.rows if flags.limit is None else draw_rows(found.rows, flags.limit, flags.seed)
    present = sorted(pc.unique(chosen.column("source")).to_pylist())
    return Selection(
        rows=chosen,
        templates={name: found.templates[name] for name in present},
        offsets={name: found.offsets[name] for name in present if found.offsets[name]},
        query={
            "database": str(database),
            "sql": found.query.sql,
            "parameters": list(found.query.parameters),
            "matched": found.rows.num_rows,
            "limit": flags.limit,
            "seed": flags.seed,
            "rows": chosen.num_rows,
            **({"decided_on_the_rows": list(found.late)} if found.late else {}),
            **({"score": flags.score} if flags.score is not None else {}),
            **({"errors": _errors_in(chosen, found.errors)} if found.errors else {}),
            **({"properties": list(flags.properties)} if flags.properties else {}),
        },
    )


def _errors_in(chosen: pa.Table, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Facts about the standard errors of each source, with the number of chosen rows where one is `known`."""
    counts: dict[str, int] = {}
    if STANDARD_ERROR in chosen.column_names:
        with_one = chosen.column("source").filter(pc.is_valid(chosen.column(STANDARD_ERROR)))
        counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(with_one).to_pylist()}
    return {
        name: dict(facts) if "unclear" in facts else {**facts, "known": counts.get(name, 0)}
        for name, facts in found.items()
    }


def _tell_errors(found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, facts in found.items():
        if "unclear" in facts:
            among = ", ".join(map(repr, facts["unclear"]))
            _log.warning("%s has several columns of errors (%s); `data.error` chooses one.", name, among)
        elif facts["impossible"]:
            told = (facts["impossible"], facts["column"], name)
            _log.warning("%d errors in column %r of %s are not above 0 and count as unknown.", *told)


def _check_sources(database: Path, wanted: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    lines = []
    for flag, name in ((flag, name) for flag, names in wanted.items() for name in names):
        close = nearest(name, known, n=1)
        if name not in known:
            guess = f"; did you mean {close[0]!r}?" if close else "."
            lines.append(f"`{flag}`: {name!r} is not in {database}{guess}")
    if not lines:
        return
    listed = ", ".join(known[:_LISTED_SOURCES]) or "no sources yet"
    more = f" and {len(known) - _LISTED_SOURCES:,} more" if len(known) > _LISTED_SOURCES else ""
    lines.append(f"It has {listed}{more}. `proteinx db list` lists them, `proteinx db import FILE` adds one.")
    raise UnknownSource("\n  ".join(lines))


def _explain_empty(counts: list[tuple[str, int]]) -> str:
    lines = [f"{left:>12,} rows after {_short(label)}" for label, left in counts]
    culprit = next((label for label, left in counts if left == 0), counts[-1][0])
    return "\n  ".join([f"No variant is left. {_short(culprit)} lets none pass; loosen it.", *lines])


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 3]}..."
