"""Rows of a file as variants of a template, and the problems of the other rows by kind."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.edits import edited_sequence, has_indels, mutant_of, parse_edits
from proteinx_pipelines.mutants import WILD_TYPE, parse_mutants, renumbered
from proteinx_pipelines.variant_files.columns import Roles
from proteinx_pipelines.variant_files.combos import mutant_of_combo
from proteinx_pipelines.variant_files.fitting import differing, letters_of, misplaced
from proteinx_pipelines.variant_files.notation import NUCLEOTIDES, NotRead, read_mutant
from proteinx_pipelines.variant_files.numbers import MISSING_WORDS
from proteinx_pipelines.variant_files.text_table import TextTable

NO_MUTANT, OTHER_SEQUENCE, NO_SEQUENCE = "no mutant", "another sequence", "not a sequence"
OTHER_PROTEIN = "another protein"
_LEAST_COMPARED, _MOST_CHANGED = 20, 0.5


@dataclass(frozen=True)
class RowProblem:
    """Problem of one row."""

    row: int
    kind: str
    text: str


@dataclass
class VariantRows:
    """Mutants of n rows."""

    mutants: pa.Array
    """string [n], template positions; null where the row has a problem."""
    counts: np.ndarray
    """int64 [n], mutations as written; 0 where the row has a problem."""
    problems: list[RowProblem] = field(default_factory=list)
    """At most one per row, in order of rows."""


def read_variants(
    table: TextTable, roles: Roles, template: str, offset: int, positions: tuple[int, ...] = ()
) -> VariantRows:
    """Read the variants of a table from its column of mutants, or else from its sequences.

    Args:
        table: n rows.
        roles: roles of the columns.
        template: letters A-Z.
        offset: written position minus position in the template.
        positions: as written, of the letters in cells such as `VDGV`.
    """
    sequences = None if roles.sequence is None else clean_sequences(table.text(roles.sequence), template)
    if roles.mutant is None:
        assert sequences is not None
        return _from_sequences(table, sequences, template)
    text = pc.utf8_trim_whitespace(table.text(roles.mutant))
    missing = pc.is_in(pc.utf8_lower(text), pa.array(MISSING_WORDS, text.type))
    text = pc.if_else(missing, pa.scalar(None, pa.string()), text)
    if positions:
        rows = _by_text(table, text, partial(_combo, positions=positions, template=template, offset=offset))
    else:
        rows = _by_notation(table, text, template, offset)
    _fill_empty(table, rows, text, sequences, roles, template)
    if sequences is not None:
        _compare(rows, sequences, template, text)
    rows.problems.sort(key=lambda problem: problem.row)
    return rows


def clean_sequences(column: pa.Array, template: str) -> pa.Array:
    """Normalise sequences: capitals, without gaps and blanks, and without a final stop unless the template has one."""
    text = pc.utf8_upper(pc.replace_substring_regex(column, r"[\s.\-]", ""))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    with_stop = pc.equal(pc.binary_length(text), len(template) + 1)
    return pc.if_else(with_stop.fill_null(False), pc.replace_substring_regex(text, r"\*$", ""), text)


def _combo(cell: str, positions: tuple[int, ...], template: str, offset: int) -> tuple[str, str, int]:
    mutant = mutant_of_combo(cell, positions, template, offset)
    return (
        mutant,
        f"letters at {', '.join(map(str, positions))}",
        0 if mutant == WILD_TYPE else mutant.count(":") + 1,
    )


def _by_notation(table: TextTable, text: pa.Array, template: str, offset: int) -> VariantRows:
    """Read the plain form on whole columns, other notations text by text."""
    plain = parse_mutants(text)
    good = ~plain.malformed & ~misplaced(plain, letters_of(template), offset)
    others = pa.array(~good) if text.null_count == 0 else pc.and_(pa.array(~good), text.is_valid())
    rest = _by_text(
        table, pc.if_else(others, text, pa.scalar(None, pa.string())), partial(_notation, template, offset)
    )
    moved = renumbered(pc.if_else(pa.array(good), text, WILD_TYPE), -offset)
    mutants = pc.if_else(pa.array(good), moved, rest.mutants)
    if good.any():
        table.understood.notations["as A24C"] += int(good.sum())
    return VariantRows(mutants, np.where(good, plain.counts, rest.counts), rest.problems)


def _notation(template: str, offset: int, cell: str) -> tuple[str, str, int]:
    found = read_mutant(cell, template, offset)
    return found.mutant, found.notation, found.n_edits


def _by_text(table: TextTable, text: pa.Array, read: partial[tuple[str, str, int]]) -> VariantRows:
    """Read every distinct text once."""
    encoded = text.dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy()
    mutants: list[str | None] = []
    counts, notations, refused = [], [], {}
    for place, cell in enumerate(encoded.dictionary.to_pylist()):
        try:
            mutant, notation, n_edits = read(cell)
        except NotRead as error:
            refused[place] = (error.kind, str(error))
            mutant, notation, n_edits = None, "", 0
        mutants.append(mutant)
        counts.append(n_edits)
        notations.append(notation)
    rows_of = np.bincount(indices[indices >= 0], minlength=len(notations))
    found: Counter[str] = Counter()
    for notation, rows in zip(notations, rows_of.tolist(), strict=True):
        found[notation] += rows if notation else 0
    table.understood.notations.update(+found)
    is_refused = np.isin(indices, [*refused])
    problems = [RowProblem(row, *refused[int(indices[row])]) for row in np.flatnonzero(is_refused).tolist()]
    per_row = pa.array([*mutants, None], pa.string()).take(pa.array(indices % (len(mutants) + 1)))
    return VariantRows(per_row, np.array([*counts, 0], np.int64)[indices], problems)


def _fill_empty(
    table: TextTable,
    rows: VariantRows,
    text: pa.Array,
    sequences: pa.Array | None,
    roles: Roles,
    template: str,
) -> None:
    """Read an empty mutant as wild type if its sequence is, or if it is the only one and no other row is wild type."""
    empty = np.flatnonzero(np.asarray(text.is_null()))
    if not len(empty):
        return
    if sequences is not None:
        same = pc.equal(sequences, template).fill_null(False).to_numpy(zero_copy_only=False)
        filled = empty[same[empty]]
    else:
        others = pc.equal(rows.mutants, WILD_TYPE).fill_null(False).to_numpy(zero_copy_only=False).any()
        filled = empty if len(empty) == 1 and not others and table.n_rows > 1 else empty[:0]
    if roles.nucleotides is not None and sequences is None:
        filled = empty[:0]
    if len(filled):
        table.understood.notes.append(f"an empty mutant is taken for the wild type, in {_rows(len(filled))}")
        table.understood.notations["the wild type by an empty cell"] += len(filled)
        mask = np.zeros(table.n_rows, bool)
        mask[filled] = True
        rows.mutants = pc.if_else(pa.array(mask), WILD_TYPE, rows.mutants)
    kind, said = NO_MUTANT, "the mutant is empty; the wild type is written `WT`"
    for row in np.setdiff1d(empty, filled).tolist():
        if roles.nucleotides is not None and (change := table.text(roles.nucleotides)[row].as_py()):
            rows.problems.append(
                RowProblem(row, NUCLEOTIDES, f"there is only the change of nucleotides {change!r}")
            )
        else:
            rows.problems.append(RowProblem(row, kind, said))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _from_sequences(table: TextTable, sequences: pa.Array, template: str) -> VariantRows:
    def read(sequence: str) -> tuple[str, str, int]:
        if not sequence.rstrip("*").isalpha() or not sequence.isascii():
            raise NotRead(NO_SEQUENCE, f"{sequence[:20]!r} is not a sequence of letters")
        mutant = mutant_of(sequence, template)
        _refuse_other_proteins(sequence, mutant, template)
        how = "by sequence, of another length" if len(sequence) != len(template) else "by sequence"
        return mutant, how, 0 if mutant == WILD_TYPE else mutant.count(":") + 1

    rows = _by_text(table, sequences, partial(read))
    rows.problems += [
        RowProblem(row, NO_SEQUENCE, "the sequence is empty")
        for row in np.flatnonzero(np.asarray(sequences.is_null())).tolist()
    ]
    rows.problems.sort(key=lambda problem: problem.row)
    return rows


def _refuse_other_proteins(sequence: str, mutant: str, template: str) -> None:
    """Refuse sequences that share less than half with the template: any sequence could be expressed as edits of it."""
    if len(template) < _LEAST_COMPARED:
        return
    changed = sum(max(edit.last - edit.first + 1, len(edit.residues)) for edit in parse_edits(mutant))
    if changed > _MOST_CHANGED * len(template):
        bases = set(sequence) <= set("ACGTUN")
        what = (
            "is made of nucleotides; translate it first" if bases else "is another protein than the template"
        )
        raise NotRead(OTHER_PROTEIN, f"{sequence[:20]!r}... of {len(sequence)} letters {what}")


def _compare(rows: VariantRows, sequences: pa.Array, template: str, text: pa.Array) -> None:
    """Check that mutant and sequence of a row agree."""
    table = parse_mutants(rows.mutants)
    wanted = ~table.malformed
    bad = set(np.flatnonzero(differing(sequences, table, wanted, letters_of(template), 0)).tolist())
    longer = pc.match_substring_regex(rows.mutants, "del|ins").fill_null(False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(longer).tolist():
        sequence = sequences[row].as_py()
        if sequence is not None and sequence != edited_sequence(
            parse_edits(rows.mutants[row].as_py()), template
        ):
            bad.add(row)
    if not bad:
        return
    for row in sorted(bad):
        said = _difference(sequences[row].as_py(), rows.mutants[row].as_py(), template, text[row].as_py())
        rows.problems.append(RowProblem(row, OTHER_SEQUENCE, said))
    mask = np.zeros(len(rows.mutants), bool)
    mask[[*bad]] = True
    rows.mutants = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), rows.mutants)


def _difference(sequence: str, mutant: str, template: str, written: str | None) -> str:
    expected = edited_sequence(parse_edits(mutant), template)
    if len(sequence) != len(expected):
        whose = "the template" if not has_indels(mutant) else f"{written!r}"
        return f"`mutated_sequence` has {len(sequence)} residues, {whose} has {len(expected)}"
    place = next(index for index, (a, b) in enumerate(zip(sequence, expected, strict=True)) if a != b)
    found = f"it has {sequence[place]} at residue {place + 1}, {expected[place]} is expected"
    return f"`mutated_sequence` is not the template with {written or mutant!r}: {found}"
