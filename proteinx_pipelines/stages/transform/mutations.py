"""Residues changed by each row, checked against its template.

Parses the mutants of all rows at once and keeps the mutations that change the sequence (`N41N` is well formed but
changes nothing). `usable` then selects rows, `merging` finds rows of the same variant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from proteinx_pipelines.edits import (
    Edit,
    edit_problems,
    edited_sequence,
    mutant_of,
    parse_edits,
    rows_with_indels,
)
from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import MutationTable, parse_mutants
from proteinx_pipelines.stages.transform.refusals import Refusals

_NUMBERING = (
    "Check that the template and the numbering are those of the data: positions count from 1 in the template "
    "(`proteinx db import --offset` shifts them)."
)


@dataclass(frozen=True)
class EditedRow:
    """Row with insertions or deletions, as written."""

    edits: tuple[Edit, ...]
    sequence: str
    template: str
    spelling: str
    """Canonical spelling of the sequence: equal for two rows of a template if and only if their sequences are equal."""


@dataclass(frozen=True)
class Mutations:
    """M changed residues of N rows as columns, ordered by row and position."""

    row: np.ndarray
    """int64 [M], ascending: index of the row that the change belongs to."""
    position: np.ndarray
    """int64 [M], counted from 1."""
    wild_type: np.ndarray
    """uint8 [M]: the template's letter, in ASCII."""
    residue: np.ndarray
    """uint8 [M]: the new letter, in ASCII; never equal to `wild_type`."""
    n_written: np.ndarray
    """int64 [N]: mutations in the row's mutant as written, those that change nothing included."""
    canonical: np.ndarray
    """bool [N]: True if the mutant is written with ascending positions and without mutations that change nothing."""
    edited: Mapping[int, EditedRow] = field(default_factory=dict)
    """Rows with insertions or deletions, which have no entries in the columns above."""

    @property
    def n_mutants(self) -> int:
        """N."""
        return len(self.n_written)

    @property
    def counts(self) -> np.ndarray:
        """int64 [N]: number of residues in which each row differs from its template; an indel counts as one."""
        counts = np.bincount(self.row, minlength=self.n_mutants)
        for row, edited in self.edited.items():
            counts[row] = len(edited.edits)
        return counts

    @property
    def first_position(self) -> np.ndarray:
        """int64 [N], 0 for the wild type."""
        first = np.zeros(self.n_mutants, np.int64)
        first[self.row[::-1]] = self.position[::-1]
        for row, edited in self.edited.items():
            first[row] = min(edit.first for edit in edited.edits)
        return first

    def take(self, rows: np.ndarray) -> "Mutations":
        """Mutations of some rows (int64 [n], distinct), in that order and numbered from 0."""
        new_row = np.full(self.n_mutants, -1)
        new_row[rows] = np.arange(len(rows))
        kept = np.flatnonzero(new_row[self.row] >= 0)
        kept = kept[np.argsort(new_row[self.row[kept]], kind="stable")]
        columns = (new_row[self.row[kept]], self.position[kept], self.wild_type[kept], self.residue[kept])
        edited = {int(new_row[row]): found for row, found in self.edited.items() if new_row[row] >= 0}
        return Mutations(*columns, self.n_written[rows], self.canonical[rows], edited)


def check_mutations(rows: pa.Table, templates: Mapping[str, str], refusals: Refusals) -> Mutations:
    """Parse the mutants of all rows, and refuse those that contradict their template.

    Refused are malformed mutants, positions outside the template or named twice, and letters that the template does
    not have there. The result is valid for the other rows.
    """
    table = parse_mutants(rows.column("mutant"))
    edited = _edited_rows(rows, templates, table, refusals)
    refusals.add(
        "have a mutant that is not in the form",
        np.setdiff1d(
            np.flatnonzero(table.malformed), np.flatnonzero(rows_with_indels(rows.column("mutant")))
        ),
        "`A24C`, `A24C:D40G` or `WT` is expected. Mend these rows in the catalog.",
    )
    _check_letters(table, rows.column("source"), templates, refusals)
    order = np.lexsort((table.position, table.row))
    row, position = table.row[order], table.position[order]
    twice = np.flatnonzero((row[1:] == row[:-1]) & (position[1:] == position[:-1]))
    refusals.add(
        "change one position twice",
        row[twice],
        "Each position of a mutant is named once. Mend these rows in the catalog.",
        lambda i: (
            f"position {position[twice[i]] + refusals.offset_of(row[twice[i]])} is named more than once"
        ),
    )
    return _changes(table, order, edited)


def _edited_rows(
    rows: pa.Table, templates: Mapping[str, str], table: MutationTable, refusals: Refusals
) -> dict[int, EditedRow]:
    """Rows with insertions or deletions, read one by one; those that contradict their template are refused."""
    found, wrong = {}, {}
    indels = np.flatnonzero(table.malformed & rows_with_indels(rows.column("mutant")))
    for row in indels.tolist():
        source, mutant = rows.column("source")[row].as_py(), rows.column("mutant")[row].as_py()
        template = templates.get(source, "")
        try:
            edits = parse_edits(mutant)
        except BadVariants as error:
            wrong[row] = str(error)
            continue
        problems = edit_problems(edits, template, refusals.offset_of(row))
        if problems:
            wrong[row] = "; ".join(problems)
        else:
            sequence = edited_sequence(edits, template)
            found[row] = EditedRow(edits, sequence, template, mutant_of(sequence, template))
    places = np.array([*wrong], np.int64)
    refusals.add(
        "have insertions or deletions that contradict their template",
        places,
        _NUMBERING,
        lambda i: wrong[int(places[i])],
    )
    return found


def _check_letters(
    table: MutationTable, source: pa.ChunkedArray, templates: Mapping[str, str], refusals: Refusals
) -> None:
    encoded = source.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    for name in sorted(name for name in names if not templates.get(name)):
        refusals.add_sentence(f"The source {name!r} has no template. Import it again with its template.")
    texts = [templates.get(name, "").encode("ascii", "replace") for name in names]
    residues = np.frombuffer(b"".join(texts) + b"\0", np.uint8)
    lengths = np.array([len(text) for text in texts], np.int64)
    begins = np.cumsum(lengths) - lengths
    code = encoded.indices.to_numpy()[table.row]
    inside = table.position <= lengths[code]
    found = residues[np.where(inside, begins[code] + table.position - 1, 0)]
    wrong = np.flatnonzero(~inside | (found != table.wild_type))

    def describe(i: int) -> str:
        at = wrong[i]
        offset = refusals.offset_of(table.row[at])
        written = f"{chr(table.wild_type[at])}{table.position[at] + offset}{chr(table.residue[at])}"
        if not inside[at]:
            counted = f", counted from {1 + offset}" if offset else ""
            return f"{written} is outside the template of {lengths[code[at]]} residues{counted}"
        return f"{written} needs {chr(table.wild_type[at])!r}, the template has {chr(found[at])!r} there"

    refusals.add("contradict their template", table.row[wrong], _NUMBERING, describe)


def _changes(table: MutationTable, order: np.ndarray, edited: Mapping[int, EditedRow]) -> Mutations:
    changing = table.wild_type != table.residue
    ascending = np.ones(len(table.row), bool)
    ascending[1:] = (table.row[1:] != table.row[:-1]) | (table.position[1:] > table.position[:-1])
    canonical = np.ones(table.n_mutants, bool)
    canonical[table.row[~(changing & ascending)]] = False
    counts = table.counts
    for row, found in edited.items():
        canonical[row], counts[row] = False, len(found.edits)
    kept = order[changing[order]]
    columns = (table.row[kept], table.position[kept], table.wild_type[kept], table.residue[kept])
    return Mutations(*columns, counts, canonical, edited)
