"""Import a data file as a source of the catalog: all of its rows, or nothing.

    parsing (batches of cells) -> checking (variants of the template) -> one transaction       the plain form, all good
    incoming (any form, in memory) -> causes (of bad rows) -> one transaction                  everything else

A crash, a bad row or Ctrl-C leaves the catalog unchanged. Mutated sequences are not stored: the transform stage builds
them from the template.
"""

import contextlib
import dataclasses
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.catalog.ahead import one_ahead
from proteinx_pipelines.catalog.causes import sentences
from proteinx_pipelines.catalog.checking import GoodRows, RowChecker
from proteinx_pipelines.catalog.further import add_further
from proteinx_pipelines.catalog.incoming import Incoming, read_incoming
from proteinx_pipelines.catalog.parsing import DEFAULT_BIN_COLUMN, ColumnNames, DataFile
from proteinx_pipelines.catalog.refusing import DEFAULT_MOST_BAD, refusal
from proteinx_pipelines.catalog.writing import CatalogWriter, open_for_import
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.columns import has_more_than_scores
from proteinx_pipelines.variant_files.forms import stem_of
from proteinx_pipelines.variant_files.sense import nucleotide_problem, odd_scores, odd_template
from proteinx_pipelines.variant_files.template import TemplateHints, find_template, offset_beside
from proteinx_pipelines.variant_files.understood import ReadingOptions

MAX_PROBLEMS = 100_000
"""Most bad rows that a report lists one by one; more are counted."""
_LONGEST_NAME = 200
_SCORES_LOOKED_AT = 200_000


@dataclass(frozen=True)
class ImportReport:
    """Result of an import, or of a dry run."""

    source: str
    template: str
    rows: int
    """Number of rows added."""
    missing_scores: int
    """Number of them without a score."""
    problems: tuple[str, ...]
    """One sentence for each bad row that was skipped."""
    replaced: bool
    """True if the source existed before."""
    offset: int = 0
    """Written position minus position in the template."""
    causes: tuple[str, ...] = ()
    """Causes of skipped rows, one sentence each."""
    odd: tuple[str, ...] = ()
    """Warnings about implausible data, though every row is good."""
    understood: dict[str, Any] = field(default_factory=dict)
    """Interpretation of the file: form, columns, notation; stored with the source."""


class _NotPlainError(Exception):
    """The file has another form, or a bad row: it is read again, in memory."""


def import_file(
    database: Path,
    file: Path,
    *,
    name: str | None = None,
    template: str | None = None,
    mutant_column: str | None = None,
    score_column: str | None = None,
    bin_column: str | None = None,
    offset: int | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    most_bad: float = DEFAULT_MOST_BAD,
    protein: bool = False,
    options: ReadingOptions | None = None,
    facts: dict[str, Any] | None = None,
) -> ImportReport:
    """Add a file of measured variants to a catalog, which is created if missing.

    Args:
        database: the catalog.
        file: any form that `variant_files` reads: CSV and its relatives, XLSX, Parquet, Feather, JSON, FASTA, packed or
            not. An empty score is NULL. A column `mutated_sequence` is compared with the mutants, not stored.
        name: name of the source; the file's own without its ending when None.
        template: a sequence, or a file that has it; else `<file without ending>.json` or `.fasta` beside the file, else
            what the file says.
        mutant_column: name of the column of mutants; detected when None.
        score_column: of a number in the assay's own unit.
        bin_column: of the score in classes; may be missing under its usual name.
        offset: written position minus position in the template: 226 when the data are numbered on a longer
            protein, of which the template begins at residue 227. When None, `offset` of the JSON file with the template
            beside the file, else 0.
        skip_bad: import the good rows and list the bad ones in the report.
        replace: replace the source of this name.
        most_bad: share of misspelt rows above which `skip_bad` refuses too.
        protein: treat the letters A, C, G and T as residues, even if they look like nucleotides.
        options: further options about the file; its columns are those of the arguments.
        facts: kept with the source beside what was understood, such as a licence and a citation.

    Raises:
        CatalogError: rows are bad (`problems` has a sentence for each cause, `rows` one for each row), the source is
            there already, or the file cannot be read. Nothing was imported.
    """
    said = _with_columns(options or ReadingOptions(), mutant_column, score_column, bin_column)
    source = checked_name(stem_of(file.name) if name is None else name)
    offset = _offset(file, offset, template)
    arguments = _Arguments(database, file, source, said, template, offset, replace, protein, facts or {})
    with contextlib.suppress(_NotPlainError):
        return _import_plain(arguments)
    incoming = read_incoming(file, said, template, offset, protein=protein)
    refused = refusal(incoming, skip_bad=skip_bad, most_bad=most_bad)
    if refused is not None:
        raise refused
    return _import_incoming(arguments, incoming)


def look_at_file(
    file: Path,
    *,
    template: str | None = None,
    offset: int | None = None,
    protein: bool = False,
    options: ReadingOptions | None = None,
) -> Incoming:
    """Report what an import of a file would add, and its problems; writes nothing.

    Raises:
        CatalogError: it cannot be read, or its columns or template cannot be found.
    """
    offset = _offset(file, offset, template)
    return read_incoming(file, options or ReadingOptions(), template, offset, protein=protein)


def _offset(file: Path, said: int | None, template: str | None) -> int:
    """The user's offset, else that beside the file, where the template comes from there."""
    if said is not None:
        return said
    return 0 if template is not None else offset_beside(file, stem_of(file.name))


@dataclass(frozen=True)
class _Arguments:
    database: Path
    file: Path
    source: str
    options: ReadingOptions
    template: str | None
    offset: int
    replace: bool
    protein: bool
    facts: dict[str, Any]


def _with_columns(
    options: ReadingOptions, mutant: str | None, score: str | None, bin_: str | None
) -> ReadingOptions:
    return dataclasses.replace(
        options,
        mutant_column=mutant if mutant is not None else options.mutant_column,
        score_column=score if score is not None else options.score_column,
        bin_column=bin_ if bin_ is not None else options.bin_column,
    )


def _import_plain(arguments: _Arguments) -> ImportReport:
    """Import many rows in ProteinGym's own form, in batches.

    Raises:
        _NotPlainError: it is another form, or a row is bad.
    """
    data = _plain_file(arguments)
    batches = iter(data)
    try:
        first = [*itertools.islice(batches, 1)]
    except CatalogError as error:
        raise _NotPlainError from error
    if not first:
        raise _NotPlainError
    checker = RowChecker(_plain_template(arguments, data, first[0]), arguments.offset)
    checked = (checker.check(raw) for raw in itertools.chain(first, batches))
    understood = data.understood()
    with open_for_import(arguments.database) as writer:
        room = _make_room(writer, arguments, checker.template)
        filling = _Filling(writer, room.source_id)
        for rows in one_ahead(_or_not_plain(checked)):
            filling.add(rows)
        if data.broken or not filling.n_rows:
            raise _NotPlainError
        if not arguments.protein and nucleotide_problem(checker.template, checker.residues):
            raise _NotPlainError
        odd = [*odd_template(checker.template, checker.positions), *odd_scores(filling.scores)]
        understood |= {"offset": arguments.offset, "template_residues": len(checker.template), "rows": filling.n_rows,
                       "rows_left_out": 0, "odd": odd, **arguments.facts}  # fmt: skip
        _write_down(writer, room.source_id, understood)
    return ImportReport(
        arguments.source, checker.template, filling.n_rows, filling.n_missing, (), room.replaced, arguments.offset,
        (), tuple(odd), understood,
    )  # fmt: skip


def _or_not_plain(checked: Any) -> Any:
    try:
        for rows in checked:
            if rows is None:
                raise _NotPlainError
            yield rows
    except CatalogError as error:  # the reader of all forms words problems of the bytes
        raise _NotPlainError from error


def _plain_file(arguments: _Arguments) -> DataFile:
    options = arguments.options
    only_columns = ReadingOptions(options.mutant_column, options.score_column, options.bin_column)
    if options != only_columns:
        raise _NotPlainError
    defaults = ColumnNames()
    columns = ColumnNames(
        options.mutant_column or defaults.mutant,
        options.score_column or defaults.score,
        options.bin_column or DEFAULT_BIN_COLUMN,
    )
    try:
        data = DataFile(arguments.file, columns)
    except CatalogError as error:
        raise _NotPlainError from error
    if has_more_than_scores(data.names, columns.score):
        raise _NotPlainError
    return data


def _plain_template(arguments: _Arguments, data: DataFile, first: Any) -> str:
    hints = TemplateHints(
        mutants=first.mutants.to_pylist() if first.sequences is not None else None,
        sequences=None if first.sequences is None else first.sequences.to_pylist(),
    )
    try:
        return find_template(
            arguments.file, stem_of(data.path.name), arguments.template, hints, arguments.offset
        ).sequence
    except CatalogError as error:
        raise _NotPlainError from error


def _import_incoming(arguments: _Arguments, incoming: Incoming) -> ImportReport:
    understood = {**incoming.as_document(), **arguments.facts}
    with open_for_import(arguments.database) as writer:
        room = _make_room(writer, arguments, incoming.template)
        before = writer.run("SELECT coalesce(max(id), 0) FROM mutations")[0][0]
        filling = _Filling(writer, room.source_id)
        filling.add(incoming.rows)
        add_further(writer, room.source_id, int(before), incoming.further)
        _write_down(writer, room.source_id, understood)
    shown = [f"{incoming.unit} {row.line}: {row.text}" for row in incoming.bad[:MAX_PROBLEMS]]
    n_more = len(incoming.bad) - len(shown)
    return ImportReport(
        arguments.source, incoming.template, filling.n_rows, filling.n_missing,
        (*shown, *([f"and {n_more:,} more"] if n_more else [])), room.replaced, arguments.offset,
        tuple(sentences(incoming.bad, incoming.unit)), tuple(incoming.odd), understood,
    )  # fmt: skip


class _Filling:
    """Writer of the rows of one source."""

    def __init__(self, writer: CatalogWriter, source_id: int) -> None:
        self.n_rows = self.n_missing = 0
        self._writer = writer
        self._source_id = source_id
        self._scores: list[np.ndarray] = []

    def add(self, rows: GoodRows) -> None:
        """Insert a batch."""
        if not len(rows.scores):
            return
        self._writer.append("mutations", _as_table(rows, self._source_id))
        if self.n_rows < _SCORES_LOOKED_AT:
            self._scores.append(rows.scores)
        self.n_rows += len(rows.scores)
        self.n_missing += int(np.isnan(rows.scores).sum())

    @property
    def scores(self) -> np.ndarray:
        """Scores of the first rows, float64: enough for plausibility checks."""
        return np.concatenate(self._scores) if self._scores else np.zeros(0)


def _as_table(rows: GoodRows, source_id: int) -> pa.Table:
    """Rows as columns of the table: a missing score is NULL."""
    return pa.table({
        "mutant": rows.mutants,
        "DMS_score": pa.array(rows.scores, from_pandas=True),
        "DMS_score_bin": rows.bins,
        "mut_num": rows.mut_num,
        "source": np.full(len(rows.scores), source_id),
    })  # fmt: skip


@dataclass(frozen=True)
class _Room:
    source_id: int
    replaced: bool


def _make_room(writer: CatalogWriter, arguments: _Arguments, template: str) -> _Room:
    """Create the source, or empty it."""
    known = writer.run("SELECT id FROM sources WHERE source_text = ?", arguments.source)
    if not known:
        insert = "INSERT INTO sources(source_text, template, offset) VALUES (?, ?, ?) RETURNING id"
        return _Room(int(writer.run(insert, arguments.source, template, arguments.offset)[0][0]), False)
    if not arguments.replace:
        raise CatalogError(
            f"The catalog has a source {arguments.source!r} already. Use --replace to put this file in its place, or "
            "--name to give it another name."
        )
    source_id = int(known[0][0])
    writer.run("DELETE FROM further_scores WHERE source = ?", source_id)
    writer.run("DELETE FROM mutations WHERE source = ?", source_id)
    update = "UPDATE sources SET template = ?, offset = ?, understood = NULL WHERE id = ?"
    writer.run(update, template, arguments.offset, source_id)
    return _Room(source_id, True)


def _write_down(writer: CatalogWriter, source_id: int, understood: dict[str, Any]) -> None:
    text = json.dumps(understood, ensure_ascii=False, default=str)
    writer.run("UPDATE sources SET understood = ? WHERE id = ?", text, source_id)


def checked_name(name: str) -> str:
    """Check the name of a source.

    Raises:
        CatalogError: it has characters that cannot be typed.
    """
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise CatalogError(
            f"{name!r} cannot name a source: 1 to {_LONGEST_NAME} printable characters are expected (--name)."
        )
    return name
