"""Says which rows of a data file are variants of a template, and why the others are not.

Bad rows are found on whole columns (2 million rows a second); only for them is a reason worded, row by row.
What a batch is read from is `parsing`; what becomes of it is `importing`.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.parsing import RawRows
from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import (
    MAX_DIGITS,
    Mutation,
    MutationTable,
    format_mutant,
    parse_mutant,
    parse_mutants,
)

MISSING_SCORES = ("", "na", "nan")
"""Texts, in any case, that stand for "not measured"."""
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_COMPARED_BYTES = 32 << 20


@dataclass(frozen=True)
class GoodRows:
    """n rows that are variants of the template, positions counted from its first residue."""

    mutants: pa.Array
    scores: np.ndarray
    """float64 [n], NaN where nothing was measured."""
    bins: pa.Array
    mut_num: np.ndarray
    """int64 [n], mutations as written."""


class RowChecker:
    """Checks batches of rows against one template.

    Args:
        template: letters A-Z.
        offset: written position minus position in the template, as in ESM's `--offset-idx`.
    """

    def __init__(self, template: str, offset: int) -> None:
        self.template = template
        self.offset = offset
        self._letters = np.frombuffer(template.encode("ascii"), np.uint8)
        self._seen: set[int] = set()  # 256 * written position + letter, of every well-formed mutation

    def check(self, raw: RawRows) -> tuple[GoodRows, np.ndarray]:
        """The good rows, and the places of the bad ones in the batch (int64, ascending)."""
        table = parse_mutants(raw.mutants)
        self._seen.update(np.unique(table.position * 256 + table.wild_type).tolist())
        scores, bad = read_scores(raw.scores)
        bad |= table.malformed | self._misplaced(table)
        if raw.sequences is not None:
            bad |= self._differs(raw.sequences, table, ~bad)
        good = pa.array(~bad)
        mutants = raw.mutants.filter(good)
        if self.offset:
            mutants = pa.array([_shifted(mutant, self.offset) for mutant in mutants.to_pylist()], pa.string())
        return GoodRows(mutants, scores[~bad], raw.bins.filter(good), table.counts[~bad]), np.flatnonzero(bad)

    def explain(self, raw: RawRows, row: int) -> str:
        """All that is wrong with the bad row at this place of the batch."""
        sequence = None if raw.sequences is None else raw.sequences[row].as_py()
        problems = mutant_problems(raw.mutants[row].as_py(), sequence, self.template, self.offset)
        score = raw.scores.slice(row, 1)
        if read_scores(score)[1][0]:
            found = f"the score {score[0].as_py()!r} is not a finite number"
            problems.append(f"{found}; leave it empty if it is missing")
        return "; ".join(problems)

    def fitting_offset(self) -> int | None:
        """The one other offset under which every mutation read so far fits the template, or None."""
        if not self._seen:
            return None
        positions, letters = np.divmod(np.array(sorted(self._seen)), 256)
        fitting = [
            offset
            for offset in range(int(positions[-1]) - len(self._letters), int(positions[0]))
            if (self._letters[positions - offset - 1] == letters).all()
        ]
        return fitting[0] if len(fitting) == 1 and fitting[0] != self.offset else None

    def _misplaced(self, table: MutationTable) -> np.ndarray:
        """Bool [n]: rows with a position outside the template, another letter there, or one twice."""
        index = table.position - self.offset - 1
        inside = (index >= 0) & (index < len(self._letters))
        found = self._letters[np.where(inside, index, 0)]
        keys = np.sort(table.row * 10**MAX_DIGITS + table.position, kind="stable")
        repeated = keys[1:][keys[1:] == keys[:-1]] // 10**MAX_DIGITS
        misplaced = np.zeros(table.n_mutants, bool)
        misplaced[table.row[~inside | (found != table.wild_type)]] = True
        misplaced[repeated] = True
        return misplaced

    def _differs(self, sequences: pa.Array, table: MutationTable, wanted: np.ndarray) -> np.ndarray:
        """Bool [n]: wanted rows whose sequence is not the template with the row's mutations."""
        lengths = pc.binary_length(sequences).fill_null(len(self._letters)).to_numpy()
        differs = wanted & (lengths != len(self._letters))
        comparable = np.flatnonzero(wanted & ~differs & sequences.is_valid().to_numpy(zero_copy_only=False))
        index = table.position - self.offset - 1
        step = max(1, _COMPARED_BYTES // len(self._letters))
        for begin in range(0, len(comparable), step):
            rows = comparable[begin : begin + step]
            expected = np.tile(self._letters, (len(rows), 1))
            place = np.searchsorted(rows, table.row)
            here = (place < len(rows)) & (rows[np.minimum(place, len(rows) - 1)] == table.row)
            expected[place[here], index[here]] = table.residue[here]
            differs[rows] = (_letters_of(sequences, rows) != expected).any(axis=1)
        return np.asarray(differs)


def mutant_problems(mutant: str | None, sequence: str | None, template: str, offset: int) -> list[str]:
    """Everything that is wrong with one row's mutant and sequence, in words."""
    if mutant is None:
        return ["the mutant is empty; the wild type is written `WT`"]
    try:
        mutations = parse_mutant(mutant)
    except BadVariants as error:
        return [str(error).rstrip(".")]
    letters, problems = list(template), []
    for mutation in mutations:
        index = mutation.position - offset - 1
        if not 0 <= index < len(template):
            range_ = f"{1 + offset} to {len(template) + offset}"
            problems.append(f"{str(mutation)!r} lies outside the template, which goes from {range_}")
        elif template[index] != mutation.wild_type:
            problems.append(
                f"{str(mutation)!r} is written against a template that has {template[index]} there"
            )
        else:
            letters[index] = mutation.residue
    positions = [mutation.position for mutation in mutations]
    twice = sorted({position for position in positions if positions.count(position) > 1})
    problems += [f"{mutant!r} mutates position {position} more than once" for position in twice]
    if not problems and sequence is not None and sequence != "".join(letters):
        problems.append(_difference(sequence, letters, mutant))
    return problems


def read_scores(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Scores as float64 [n] (NaN: not measured), and which rows hold something else (bool [n])."""
    bad = np.zeros(len(column), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        missing = pc.is_in(pc.utf8_lower(column), pa.array(MISSING_SCORES, column.type))
        column = pc.if_else(missing, pa.scalar(None, column.type), column)
        is_number = pc.match_substring_regex(column, _NUMBER).fill_null(True)
        bad = ~is_number.to_numpy(zero_copy_only=False)
        column = pc.utf8_ltrim(pc.if_else(is_number, column, pa.scalar(None, column.type)), "+")
    elif pa.types.is_boolean(column.type) or not _is_number(column.type):
        return np.full(len(column), np.nan), column.is_valid().to_numpy(zero_copy_only=False)
    scores = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return scores, bad | np.isinf(scores)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in tests)


def _letters_of(sequences: pa.Array, rows: np.ndarray) -> np.ndarray:
    """uint8 [len(rows), L] of rows whose sequences all have the same number of bytes."""
    chosen = sequences.take(pa.array(rows)).cast(pa.large_binary())
    _, offsets, data = chosen.buffers()
    bounds = np.frombuffer(offsets, np.int64)[chosen.offset : chosen.offset + len(chosen) + 1]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].reshape(len(rows), -1)


def _shifted(mutant: str, offset: int) -> str:
    mutations = parse_mutant(mutant)
    return format_mutant(Mutation(m.wild_type, m.position - offset, m.residue) for m in mutations)


def _difference(sequence: str, expected: list[str], mutant: str) -> str:
    if len(sequence) != len(expected):
        return f"`mutated_sequence` has {len(sequence)} residues, the template has {len(expected)}"
    place = next(index for index, (a, b) in enumerate(zip(sequence, expected, strict=True)) if a != b)
    found = f"it has {sequence[place]} at residue {place + 1}, {expected[place]} is expected"
    return f"`mutated_sequence` is not the template with {mutant!r}: {found}"
