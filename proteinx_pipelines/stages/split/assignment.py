"""Result of a split method before it becomes a `Split`: a part and a rule for every row and fold.

Methods fill it, `assign` draws validation rows in it, `reasons` turns it into sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TRAIN, VAL, TEST, UNUSED = range(4)
"""Codes of the parts; an unused row is in no part of that fold."""
PART_NAMES = ("train", "val", "test", "unused")
"""Names of the parts by their code."""


@dataclass(frozen=True)
class Assignment:
    """Parts of N rows in K folds, and the rule that assigned each row."""

    parts: np.ndarray
    """int8 [N, K] of part codes."""
    rule: np.ndarray
    """int64 [N], index into `rules`."""
    rules: tuple[str, ...]
    """One phrase each, without a full stop: "2 mutations, more than 1"."""
    advice: str
    """Advice if a part is empty, as one sentence."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Entries for the report; plain JSON types."""


def distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows of a matrix [N, K] of the numbers 0 to 3.

    Returns:
        int64 [U], the first row of each kind, and int64 [N], the kind of each row.
    """
    kind = np.zeros(len(matrix), np.int64)
    first = np.zeros(min(1, len(matrix)), np.int64)
    # Fifteen columns take 30 bits; with at most 2^31 kinds so far, the code fits in 63 bits.
    for begin in range(0, matrix.shape[1], 15):
        block = matrix[:, begin : begin + 15].astype(np.int64)
        code = kind * 4**15 + block @ 4 ** np.arange(block.shape[1], dtype=np.int64)
        _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    return first, kind
