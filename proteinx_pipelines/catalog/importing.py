"""A data file becomes a source of the catalog: all of its rows, or nothing.

    parsing (batches of cells) -> checking (variants of the template) -> one transaction

A crash, a bad row or Ctrl-C leaves the catalog as it was. No mutated sequence is stored: the transform stage
makes it from the template.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from proteinx_pipelines.catalog.checking import GoodRows, RowChecker
from proteinx_pipelines.catalog.database import open_for_import
from proteinx_pipelines.catalog.parsing import DEFAULT_BIN_COLUMN, ColumnNames, DataFile, RawRows
from proteinx_pipelines.catalog.tables import MUTATIONS, SOURCES
from proteinx_pipelines.catalog.template import find_template
from proteinx_pipelines.errors import CatalogError

MAX_PROBLEMS = 100_000
"""Bad rows that are named one by one; more are counted."""
_INSERT = "INSERT INTO mutations(mutant, DMS_score, DMS_score_bin, mut_num, source) VALUES (?, ?, ?, ?, ?)"
_LONGEST_NAME = 200


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    source: str
    template: str
    rows: int
    """Rows added."""
    missing_scores: int
    """How many of them have no score."""
    problems: tuple[str, ...]
    """One sentence for each bad row that was skipped."""
    replaced: bool
    """Whether the source had been there before."""


def import_file(
    database: Path,
    file: Path,
    *,
    name: str | None = None,
    template: str | None = None,
    mutant_column: str = "mutant",
    score_column: str = "DMS_score",
    bin_column: str = DEFAULT_BIN_COLUMN,
    offset: int = 0,
    skip_bad: bool = False,
    replace: bool = False,
) -> ImportReport:
    """Add a CSV, CSV.gz or Parquet file of measured variants to a catalog, which is made if missing.

    Args:
        database: the catalog.
        file: has a column of mutants and one of scores. An empty score is NULL. A column `mutated_sequence`
            is compared with the mutants, not stored.
        name: name of the source; the file's own without its ending when None.
        template: else `<file without ending>.json` beside the file, else undone from `mutated_sequence`.
        mutant_column: ProteinGym's form, `A24C:D40G` or `WT`.
        score_column: a number in the assay's own unit.
        bin_column: the score in classes; may be missing under its usual name.
        offset: written position minus position in the template: 226 when the data are numbered on a longer
            protein, of which the template begins at residue 227.
        skip_bad: import the good rows and list the bad ones in the report.
        replace: put the file in the place of the source of this name.

    Raises:
        CatalogError: rows are bad (`problems` lists each with its line), the source is there already, or the
            file cannot be read. Nothing was imported. Mend the file, or use `skip_bad` or `replace`.
    """
    data = DataFile(file, ColumnNames(mutant_column, score_column, bin_column))
    source = _checked_name(data.stem if name is None else name)
    batches = iter(data)
    first = [*itertools.islice(batches, 1)]
    checker = RowChecker(find_template(file, data.stem, template, next(iter(first), None), offset), offset)
    with open_for_import(database) as connection:
        source_id, replaced = _make_room(connection, source, checker.template, replace)
        filling = _Filling(connection, checker, source_id, data.unit, insert_beside_bad=skip_bad)
        for raw in itertools.chain(first, batches):
            filling.add(raw)
        problems = filling.all_problems(data.broken)
        if filling.n_bad + len(data.broken) and not skip_bad:
            raise CatalogError(_headline(file, filling.n_bad + len(data.broken), checker), problems)
        if not filling.n_rows:
            raise CatalogError(f"{file} has no row that can be imported.", problems)
    return ImportReport(
        source, checker.template, filling.n_rows, filling.n_missing, tuple(problems), replaced
    )


class _Filling:
    """Rows on their way into one source, and what was wrong with the others."""

    def __init__(
        self,
        connection: sa.Connection,
        checker: RowChecker,
        source_id: int,
        unit: str,
        *,
        insert_beside_bad: bool,
    ) -> None:
        self.n_rows = self.n_missing = self.n_bad = 0
        self._problems: list[tuple[int, str]] = []
        self._connection = connection
        self._checker = checker
        self._source_id = source_id
        self._unit = unit
        self._insert_beside_bad = insert_beside_bad

    def add(self, raw: RawRows) -> None:
        """Check a batch and insert what is good, unless a bad row has settled that nothing will be."""
        rows, bad = self._checker.check(raw)
        self.n_bad += len(bad)
        for row in bad[: max(0, MAX_PROBLEMS - len(self._problems))].tolist():
            self._problems.append((int(raw.lines[row]), self._checker.explain(raw, row)))
        if len(rows.scores) and (self._insert_beside_bad or not self.n_bad):
            self._connection.exec_driver_sql(_INSERT, _tuples(rows, self._source_id))
            self.n_rows += len(rows.scores)
            self.n_missing += int(np.isnan(rows.scores).sum())

    def all_problems(self, broken: Sequence[tuple[int, str]]) -> list[str]:
        """One sentence a bad row, by line; `broken` are lines that are no rows at all."""
        found = sorted([*self._problems, *broken])[:MAX_PROBLEMS]
        n_more = self.n_bad + len(broken) - len(found)
        more = [f"and {n_more:,} more"] if n_more else []
        return [f"{self._unit} {line}: {text}" for line, text in found] + more


def _tuples(rows: GoodRows, source_id: int) -> list[tuple[Any, ...]]:
    """Rows as the driver wants them. It binds NaN as NULL: that is how a missing score gets in."""
    columns = (
        rows.mutants.to_numpy(zero_copy_only=False).tolist(),
        rows.scores.tolist(),
        rows.bins.to_numpy(zero_copy_only=False).tolist(),
        rows.mut_num.tolist(),
    )
    return list(zip(*columns, itertools.repeat(source_id)))


def _make_room(connection: sa.Connection, source: str, template: str, replace: bool) -> tuple[int, bool]:
    """The id of the source, empty, and whether it had been there."""
    known = connection.execute(sa.select(SOURCES.c.id).where(SOURCES.c.source_text == source)).scalar()
    if known is None:
        insert = sa.insert(SOURCES).values(source_text=source, template=template)
        return int(connection.execute(insert.returning(SOURCES.c.id)).scalar_one()), False
    if not replace:
        raise CatalogError(
            f"The catalog has a source {source!r} already. Use --replace to put this file in its place, or "
            "--name to give it another name."
        )
    connection.execute(sa.delete(MUTATIONS).where(MUTATIONS.c.source == known))
    connection.execute(sa.update(SOURCES).where(SOURCES.c.id == known).values(template=template))
    return int(known), True


def _headline(file: Path, n_bad: int, checker: RowChecker) -> str:
    noun = "row is" if n_bad == 1 else "rows are"
    offset = checker.fitting_offset()
    hint = "" if offset is None else f" All mutations would fit the template with --offset {offset}."
    return f"{file}: {n_bad:,} {noun} bad, so nothing was imported; --skip-bad imports the others.{hint}"


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise CatalogError(
            f"{name!r} cannot name a source: 1 to {_LONGEST_NAME} printable characters are expected (--name)."
        )
    return name
