"""A data file becomes a source of the catalog: all of its rows, or nothing.

    parsing (batches of cells) -> checking (variants of the template) -> one transaction

A crash, a bad row or Ctrl-C leaves the catalog as it was. No mutated sequence is stored: the transform stage
makes it from the template.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.catalog.ahead import one_ahead
from proteinx_pipelines.catalog.checking import GoodRows, RowChecker
from proteinx_pipelines.catalog.parsing import DEFAULT_BIN_COLUMN, ColumnNames, DataFile, RawRows
from proteinx_pipelines.catalog.template import find_template
from proteinx_pipelines.catalog.writing import CatalogWriter, open_for_import
from proteinx_pipelines.errors import CatalogError

MAX_PROBLEMS = 100_000
"""Bad rows that are named one by one; more are counted."""
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
    checked = ((raw, *checker.check(raw)) for raw in itertools.chain(first, batches))
    with open_for_import(database) as writer:
        source_id, replaced = _make_room(writer, source, checker, replace)
        filling = _Filling(writer, checker, source_id, data.unit, insert_beside_bad=skip_bad)
        for raw, rows, bad in one_ahead(checked):
            filling.add(raw, rows, bad)
        problems, n_more = filling.all_problems(data.broken)
        if problems and not skip_bad:
            raise _refusal(file, problems, n_more, checker)
        if not filling.n_rows:
            raise CatalogError(f"{file} has no row that can be imported.", problems, n_more=n_more)
    counted = (f"and {n_more:,} more",) if n_more else ()
    return ImportReport(
        source, checker.template, filling.n_rows, filling.n_missing, (*problems, *counted), replaced
    )


class _Filling:
    """Rows on their way into one source, and what was wrong with the others."""

    def __init__(
        self,
        writer: CatalogWriter,
        checker: RowChecker,
        source_id: int,
        unit: str,
        *,
        insert_beside_bad: bool,
    ) -> None:
        self.n_rows = self.n_missing = self.n_bad = 0
        self._problems: list[tuple[int, str]] = []
        self._writer = writer
        self._checker = checker
        self._source_id = source_id
        self._unit = unit
        self._insert_beside_bad = insert_beside_bad

    def add(self, raw: RawRows, rows: GoodRows, bad: np.ndarray) -> None:
        """Insert what is good of a batch, unless a bad row has settled that nothing will be.

        Args:
            raw: the batch.
            rows: its good rows.
            bad: places of the others in the batch, int64, ascending.
        """
        self.n_bad += len(bad)
        for row in bad[: max(0, MAX_PROBLEMS - len(self._problems))].tolist():
            self._problems.append((int(raw.lines[row]), self._checker.explain(raw, row)))
        if len(rows.scores) and (self._insert_beside_bad or not self.n_bad):
            self._writer.append("mutations", _as_table(rows, self._source_id))
            self.n_rows += len(rows.scores)
            self.n_missing += int(np.isnan(rows.scores).sum())

    def all_problems(self, broken: Sequence[tuple[int, str]]) -> tuple[list[str], int]:
        """One sentence a bad row, by line, and how many more there are; `broken` are lines that are no rows at all."""
        found = sorted([*self._problems, *broken])[:MAX_PROBLEMS]
        n_more = self.n_bad + len(broken) - len(found)
        return [f"{self._unit} {line}: {text}" for line, text in found], n_more


def _as_table(rows: GoodRows, source_id: int) -> pa.Table:
    """Rows as the table has them: a score that is missing is NULL."""
    return pa.table({
        "mutant": rows.mutants,
        "DMS_score": pa.array(rows.scores, from_pandas=True),
        "DMS_score_bin": rows.bins,
        "mut_num": rows.mut_num,
        "source": np.full(len(rows.scores), source_id),
    })  # fmt: skip


def _make_room(writer: CatalogWriter, source: str, checker: RowChecker, replace: bool) -> tuple[int, bool]:
    """The id of the source, empty, and whether it had been there."""
    known = writer.run("SELECT id FROM sources WHERE source_text = ?", source)
    if not known:
        insert = "INSERT INTO sources(source_text, template, offset) VALUES (?, ?, ?) RETURNING id"
        return int(writer.run(insert, source, checker.template, checker.offset)[0][0]), False
    if not replace:
        raise CatalogError(
            f"The catalog has a source {source!r} already. Use --replace to put this file in its place, or "
            "--name to give it another name."
        )
    source_id = int(known[0][0])
    writer.run("DELETE FROM mutations WHERE source = ?", source_id)
    update = "UPDATE sources SET template = ?, offset = ?, understood = NULL WHERE id = ?"
    writer.run(update, checker.template, checker.offset, source_id)
    return source_id, True


def _refusal(file: Path, problems: Sequence[str], n_more: int, checker: RowChecker) -> CatalogError:
    n_bad = len(problems) + n_more
    noun = "row is" if n_bad == 1 else "rows are"
    offset = checker.fitting_offset()
    hint = "" if offset is None else f" All mutations would fit the template with --offset {offset}."
    return CatalogError(
        f"{file}: {n_bad:,} {noun} bad, so nothing was imported.",
        problems,
        n_more=n_more,
        remedy=f"--skip-bad imports the others.{hint}",
    )


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise CatalogError(
            f"{name!r} cannot name a source: 1 to {_LONGEST_NAME} printable characters are expected (--name)."
        )
    return name
