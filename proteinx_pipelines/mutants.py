"""Mutants in ProteinGym's form (`A24C`, `A24C:D40G`, `WT`): read one, read millions, write one.

Only the form is checked; the caller checks that a mutant fits its template (the catalog on import, the transform stage
when mutations are applied). Positions are counted from 1. Letters are A-Z and `*`: a stop or an `X` is well formed, and
the transform stage decides how to treat it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants

WILD_TYPE = "WT"
"""The mutant that has no mutation."""
SEPARATOR = ":"
MAX_DIGITS = 7
"""A position has at most this many digits; the longest known protein has 35,991 residues (titin)."""

_PADDING = MAX_DIGITS + 2
"""Zeros after the text, so that reading past a part that is too short stays in bounds."""
_MUTATION = re.compile(rf"([A-Z*])([1-9][0-9]{{0,{MAX_DIGITS - 1}}})([A-Z*])", re.ASCII)

_LETTER_AND_POSITION = re.compile(rf"([A-Z*])(-?[0-9]{{1,{MAX_DIGITS}}})", re.ASCII)


class Mutation(NamedTuple):
    """One substitution: the template's letter, the position counted from 1, the new letter."""

    wild_type: str
    position: int
    residue: str

    def __str__(self) -> str:
        return f"{self.wild_type}{self.position}{self.residue}"


def parse_mutant(text: str) -> tuple[Mutation, ...]:
    """Read one mutant, in the order written; `WT` has no mutations.

    Raises:
        BadVariants: the text is malformed; the message names the malformed part. Correct that row.
    """
    if text == WILD_TYPE:
        return ()
    mutations = []
    for part in text.split(SEPARATOR):
        match = _MUTATION.fullmatch(part)
        if not match:
            raise BadVariants(
                f"{part!r} in the mutant {text!r} is not a mutation. A letter, a position from 1 and a "
                f"letter are expected, as in `A24C`. `{SEPARATOR}` joins several; the wild type is "
                f"`{WILD_TYPE}`."
            )
        mutations.append(Mutation(match[1], int(match[2]), match[3]))
    return tuple(mutations)


def format_mutant(mutations: Iterable[Mutation]) -> str:
    """Write a mutant; the inverse of `parse_mutant`."""
    return SEPARATOR.join(str(mutation) for mutation in mutations) or WILD_TYPE


@dataclass(frozen=True)
class MutationTable:
    """M mutations of N mutants as columns, in the order written: row by row, left to right."""

    row: np.ndarray
    """int64 [M], ascending: index of the mutant that the mutation belongs to."""
    wild_type: np.ndarray
    """uint8 [M]: the template's letter, in ASCII."""
    position: np.ndarray
    """int64 [M], counted from 1."""
    residue: np.ndarray
    """uint8 [M]: the new letter, in ASCII."""
    malformed: np.ndarray
    """bool [N]: malformed mutants (or null); their mutations are not in the columns."""

    @property
    def n_mutants(self) -> int:
        """N."""
        return len(self.malformed)

    @property
    def counts(self) -> np.ndarray:
        """int64 [N]: mutations of each mutant as written: 2 for `D28A:N41N`, 0 for `WT` and malformed."""
        return np.bincount(self.row, minlength=self.n_mutants)


def parse_mutants(mutants: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> MutationTable:
    """Read N mutants at once, about 4 million a second: no Python object per row.

    Never raises for a row: `malformed` marks the rows that `parse_mutant` would refuse.
    """
    text, starts, ends, null = _text_and_bounds(mutants)
    is_wild_type = (ends - starts == 2) & (text[starts] == ord("W")) & (text[starts + 1] == ord("T"))
    first, last, row = _parts(text, starts, ends, ~(is_wild_type | null))
    length = last - first
    position, all_digits = _positions(text, first + 1, last - 1)
    wild_type, residue = text[first], text[last - 1]
    good = (length >= 3) & all_digits & _is_letter(wild_type) & _is_letter(residue)
    malformed = null.copy()
    malformed[row[~good]] = True
    keep = ~malformed[row]
    return MutationTable(row[keep], wild_type[keep], position[keep], residue[keep], malformed)


def canonical_mutants(mutants: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> pa.Array:
    """Rewrite N mutants with ascending positions and without mutations that change nothing (`N41N`).

    Two mutants of one template are the same sequence if and only if the results are equal; the template is `WT`.
    Malformed mutants give null.
    """
    table = parse_mutants(mutants)
    order = np.lexsort((table.position, table.row))
    order = order[table.wild_type[order] != table.residue[order]]
    row, position = table.row[order], pa.array(table.position[order]).cast(pa.string())
    wild_type, residue = letter_strings(table.wild_type[order]), letter_strings(table.residue[order])
    parts = pc.binary_join_element_wise(wild_type, position, residue, "")
    text = joined_by_row(parts, row, table.n_mutants)
    text = pc.if_else(pc.equal(text, ""), WILD_TYPE, text)
    return pc.if_else(pa.array(table.malformed), None, text)


def renumbered(mutants: pa.Array | pa.ChunkedArray | Sequence[str | None], by: int) -> pa.Array:
    """Add `by` to every position of N mutants; other texts are unchanged.

    A source imported with an offset has a numbering of its own: `+ offset` converts from the template to the user's
    numbering, `- offset` back. Positions in the user's numbering may be 0 or negative, such as those of a tag in front
    of a protein.
    """
    array = pa.array(mutants, pa.string()) if not isinstance(mutants, pa.Array | pa.ChunkedArray) else mutants
    array = array.cast(pa.string())
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.array([], pa.string())])
    if by == 0:
        return array
    table = parse_mutants(array)
    position = pa.array(table.position + by).cast(pa.string())
    parts = pc.binary_join_element_wise(
        letter_strings(table.wild_type), position, letter_strings(table.residue), ""
    )
    text = joined_by_row(parts, table.row, table.n_mutants)
    text = pc.if_else(pc.equal(text, ""), WILD_TYPE, text)
    if not table.malformed.any():
        return text
    others = pa.array(
        [_shifted(found, by) for found in array.filter(table.malformed).to_pylist()], pa.string()
    )
    return pc.replace_with_mask(text, pa.array(table.malformed), others)


def _shifted(text: str | None, by: int) -> str | None:
    """Shift positions in any notation (insertions, deletions, positions below 1): each number after a letter is one."""
    if text is None:
        return None
    return _LETTER_AND_POSITION.sub(lambda found: f"{found[1]}{int(found[2]) + by}", text)


def letter_strings(codes: np.ndarray) -> pa.Array:
    """Strings of one letter each, from M ASCII codes (uint8)."""
    offsets = np.arange(len(codes) + 1, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(codes))]
    return pa.Array.from_buffers(pa.string(), len(codes), buffers)


def joined_by_row(parts: pa.Array, row: np.ndarray, n_rows: int) -> pa.Array:
    """Join the parts of each of N rows (M strings; `row` int64 [M], ascending) with `:`.

    A row without parts gives an empty string.
    """
    offsets = np.searchsorted(row, np.arange(n_rows + 1)).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), parts), SEPARATOR)


def _text_and_bounds(
    mutants: pa.Array | pa.ChunkedArray | Sequence[str | None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Text with padding (uint8 [B]), start and end of each row in it (int64 [N] each), and the mask of nulls."""
    array = mutants
    if not isinstance(array, pa.Array | pa.ChunkedArray):
        array = pa.array(array, pa.large_string())
    array = array.cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.array([], pa.large_string())])
    null = np.asarray(array.is_null())
    if len(array) == 0:
        return np.zeros(_PADDING, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64), null
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data or b"", np.uint8, count=int(bounds[-1]))
    return np.append(text, np.zeros(_PADDING, np.uint8)), bounds[:-1], bounds[1:], null


def _parts(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and row (int64 [P] each) of each part between separators, for the wanted rows."""
    if not len(starts):
        return starts, ends, np.zeros(0, np.int64)
    begin, end = int(starts[0]), int(ends[-1])
    separators = begin + np.flatnonzero(text[begin:end] == ord(SEPARATOR))
    n_parts = 1 + np.bincount(np.searchsorted(ends, separators, side="right"), minlength=len(starts))
    row = np.repeat(np.arange(len(starts)), n_parts)
    first = np.sort(np.concatenate([starts, separators + 1]), kind="stable")
    last = np.sort(np.concatenate([ends, separators]), kind="stable")
    keep = wanted[row]
    return first[keep], last[keep], row[keep]


def _positions(text: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers written in `text[first:last]` (int64), and a mask of valid ones (without leading 0)."""
    n_digits = last - first
    good = (n_digits >= 1) & (n_digits <= MAX_DIGITS) & (text[first] != ord("0"))
    value = np.zeros(len(first), np.int64)
    for place in range(MAX_DIGITS):
        here = good & (place < n_digits)
        if not here.any():
            break
        digit = text[first + place].astype(np.int64) - ord("0")
        good &= ~here | ((digit >= 0) & (digit <= 9))
        value = np.where(here, value * 10 + digit, value)
    return value, good


def _is_letter(code: np.ndarray) -> np.ndarray:
    return np.asarray(((code >= ord("A")) & (code <= ord("Z"))) | (code == ord("*")))
