"""Hamming distances between all pairs of some thousands of sequences.

Only sequences of equal length are compared (without alignment); sequences of different lengths are never near.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PAIRS_AT_ONCE = 1 << 24
"""Distances held at once (16 million int32: 64 MiB)."""


def near_pairs(sequences: pa.Array, identity: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Compare every sequence with every other of its length.

    Sequences are stored as differences from the most common residues of their length, so that the cost grows with the
    number of differences, not the length: 10,000 single mutants take about a second.

    Args:
        sequences: N distinct texts of ASCII letters.
        identity: least fraction of equal residues at which two sequences are near.

    Yields:
        Rows of a chunk (int64 [c]), the rows they are compared with (int64 [m]), and the mask of near pairs
        (bool [c, m]).
    """
    lengths = pc.binary_length(sequences).to_numpy(zero_copy_only=False)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        text = "".join(sequences.take(pa.array(rows)).to_pylist()).encode("ascii")
        letters = np.frombuffer(text, np.uint8).reshape(len(rows), int(length))
        most = int(length * (1 - identity) + 1e-9)
        for chunk, distance in _distances(letters):
            yield rows[chunk], rows, distance <= most


def _distances(letters: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield chunks of rows and their distances to all rows (int32 [c, n]).

    If two sequences differ from the reference at a and b positions, p of them shared, r of those with the same
    residue, then they differ from each other at a + b - p - r positions.
    """
    from scipy import sparse

    reference = _most_common(letters)
    row, position = np.nonzero(letters != reference)
    n, length = letters.shape
    # Two marks per difference, for its position and for position with residue: a product of marks counts p + r.
    residue = length + position * 256 + letters[row, position]
    columns, index = np.unique(np.concatenate([position, residue]), return_inverse=True)
    ones = np.ones(2 * len(row), np.int32)
    marks = sparse.csr_matrix((ones, (np.concatenate([row, row]), index)), shape=(n, max(1, len(columns))))
    counts = np.bincount(row, minlength=n).astype(np.int32)
    transposed, step = marks.T.tocsc(), max(1, _PAIRS_AT_ONCE // n)
    for start in range(0, n, step):
        chunk = np.arange(start, min(start + step, n))
        shared = (marks[chunk] @ transposed).toarray()  # int32 [c, n] = [c, u] @ [u, n]
        yield chunk, counts[chunk, None] + counts[None, :] - shared


def _most_common(letters: np.ndarray) -> np.ndarray:
    """uint8 [L]: the most frequent letter of each column."""
    counts = np.stack([(letters == code).sum(axis=0) for code in np.unique(letters)])
    return np.asarray(np.unique(letters)[counts.argmax(axis=0)])
