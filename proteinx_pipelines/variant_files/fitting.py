"""Check mutants against a template on whole columns (2 million rows a second), and find better offsets."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.mutants import MAX_DIGITS, MutationTable

_COMPARED_BYTES = 32 << 20
_MOST_OFFSETS = 200_000
_MOST_RIVALS = 3


def letters_of(template: str) -> np.ndarray:
    """uint8 [L], one-letter codes in ASCII."""
    return np.frombuffer(template.encode("ascii"), np.uint8)


def misplaced(table: MutationTable, letters: np.ndarray, offset: int) -> np.ndarray:
    """Bool [N]: mutants with a position outside the template, a different letter there, or a repeated position.

    Args:
        table: M mutations of N mutants, as written.
        letters: the template, uint8 [L].
        offset: written position minus position in the template.
    """
    index = table.position - offset - 1
    inside = (index >= 0) & (index < len(letters))
    found = letters[np.where(inside, index, 0)]
    keys = np.sort(table.row * 10**MAX_DIGITS + table.position, kind="stable")
    repeated = keys[1:][keys[1:] == keys[:-1]] // 10**MAX_DIGITS
    result = np.zeros(table.n_mutants, bool)
    result[table.row[~inside | (found != table.wild_type)]] = True
    result[repeated] = True
    return result


def differing(
    sequences: pa.Array, table: MutationTable, wanted: np.ndarray, letters: np.ndarray, offset: int
) -> np.ndarray:
    """Bool [N]: wanted rows whose sequence (null: not compared) is not the template with the row's mutations."""
    lengths = pc.binary_length(sequences).fill_null(len(letters)).to_numpy()
    differs = wanted & (lengths != len(letters))
    comparable = np.flatnonzero(wanted & ~differs & sequences.is_valid().to_numpy(zero_copy_only=False))
    index = table.position - offset - 1
    step = max(1, _COMPARED_BYTES // len(letters))
    for begin in range(0, len(comparable), step):
        rows = comparable[begin : begin + step]
        expected = np.tile(letters, (len(rows), 1))
        place = np.searchsorted(rows, table.row)
        here = (place < len(rows)) & (rows[np.minimum(place, len(rows) - 1)] == table.row)
        expected[place[here], index[here]] = table.residue[here]
        differs[rows] = (_letters_of_rows(sequences, rows) != expected).any(axis=1)
    return np.asarray(differs)


def _letters_of_rows(sequences: pa.Array, rows: np.ndarray) -> np.ndarray:
    """uint8 [len(rows), L] of rows whose sequences all have the same number of bytes."""
    chosen = sequences.take(pa.array(rows)).cast(pa.large_binary())
    _, offsets, data = chosen.buffers()
    bounds = np.frombuffer(offsets, np.int64)[chosen.offset : chosen.offset + len(chosen) + 1]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].reshape(len(rows), -1)


@dataclass(frozen=True)
class Numbering:
    """An offset, and the number of rows that fit under it."""

    offset: int
    rows: int


def rival_numberings(
    places: Iterable[tuple[int, str, int]], template: str, offset: int
) -> tuple[Numbering, list[Numbering]]:
    """Count the rows that fit under the given offset, and find offsets under which more rows fit.

    Args:
        places: row, letter of the template and position, as written, of every mutation of the rows.
        template: the sequence to fit.
        offset: the given offset.

    Returns:
        The given offset, and at most three better ones, the best first.
    """
    found = list(places)
    if not found:
        return Numbering(offset, 0), []
    rows = np.unique(np.array([row for row, _, _ in found], np.int64), return_inverse=True)[1]
    positions = np.array([position for _, _, position in found], np.int64)
    codes = np.array([ord(letter) for _, letter, _ in found], np.int64)
    pairs, weights = np.unique(positions * 256 + codes, return_counts=True)
    best = _best_offsets(*np.divmod(pairs, 256), weights, letters_of(template))
    counted = {other: _rows_that_fit(rows, positions, codes, template, other) for other in {offset, *best}}
    given = Numbering(offset, counted.pop(offset))
    better = [Numbering(other, count) for other, count in counted.items() if count > given.rows]
    return given, sorted(better, key=lambda n: (-n.rows, abs(n.offset - offset)))[:_MOST_RIVALS]


def _best_offsets(
    positions: np.ndarray, codes: np.ndarray, weights: np.ndarray, letters: np.ndarray
) -> list[int]:
    """Offsets under which most of the written letters match the template."""
    low, high = int(positions.min()) - len(letters), int(positions.max()) - 1
    if high - low > _MOST_OFFSETS:
        return []
    hits = np.zeros(high - low + 1, np.int64)
    for code in np.unique(codes):
        here = np.flatnonzero(letters == code) + 1
        for position, weight in zip(positions[codes == code], weights[codes == code], strict=True):
            hits[position - here - low] += weight
    order = np.argsort(hits, kind="stable")[::-1][: 2 * _MOST_RIVALS]
    return [int(place) + low for place in order if hits[place]]


def _rows_that_fit(
    rows: np.ndarray, positions: np.ndarray, codes: np.ndarray, template: str, offset: int
) -> int:
    letters = letters_of(template)
    index = positions - offset - 1
    inside = (index >= 0) & (index < len(letters))
    fits = inside & (letters[np.where(inside, index, 0)] == codes)
    return int(rows.max() + 1 - len(np.unique(rows[~fits])))
