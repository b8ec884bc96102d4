"""Profile of an alignment: residue preferences and conservation of each site, rows weighted at 80 % identity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.evidence.alignment_files import GAP, Rows

IDENTITY = 0.8
"""Rows at least this alike share one vote."""
LEAST_COVERED = 0.5
"""Share of the target's residues that a row must have to be counted."""
MOST_ROWS = 8000
"""Rows weighed by pairwise identity; of more, evenly spaced ones are taken."""
PSEUDOCOUNT = 1.0
"""Rows' worth of the alignment's own composition, added to each site."""
COLUMNS: Sequence[str] = ("entropy", "gaps", "depth")
"""Names of the columns of `Profile.conservation`."""
_BLOCK = 512
_MOST_NUMBERS = 100_000_000
"""Largest one-hot matrix of all rows, in numbers: 0.4 GB."""


@dataclass(frozen=True)
class Profile:
    """Preferences of S sites."""

    preferences: np.ndarray
    """float64 [S, 20]: natural logarithm of each residue's weighted frequency."""
    conservation: np.ndarray
    """float64 [S, 3] (`COLUMNS`): entropy in nats, share of gaps, logarithm of 1 + effective rows."""
    rows: int
    """Rows used."""
    effective: float
    """Sum of the weights of the rows used (effective number of sequences)."""


def profile_of(rows: Rows) -> Profile:
    """Weigh the rows and count residues."""
    tokens = rows.tokens
    covered = (tokens < GAP).mean(axis=1) >= LEAST_COVERED
    covered[0] = True  # the target itself
    tokens = np.unique(tokens[covered], axis=0)
    most = max(2, min(MOST_ROWS, _MOST_NUMBERS // (GAP * max(1, tokens.shape[1]))))
    if len(tokens) > most:
        tokens = tokens[np.unique(np.linspace(0, len(tokens) - 1, most).astype(np.int64))]
    weights = row_weights(tokens)
    counts = np.stack([((tokens == letter) * weights[:, None]).sum(axis=0) for letter in range(GAP)], axis=1)
    total = counts.sum(axis=1, keepdims=True)
    composition = (counts.sum(axis=0) + 1.0) / (counts.sum() + GAP)
    share = (counts + PSEUDOCOUNT * composition) / (total + PSEUDOCOUNT)
    logs = np.log(share)
    effective = float(weights.sum())
    conservation = [-(share * logs).sum(axis=1), 1 - total[:, 0] / effective, np.log1p(total[:, 0])]
    return Profile(logs, np.column_stack(conservation), len(tokens), effective)


def row_weights(tokens: np.ndarray) -> np.ndarray:
    """One over the number of rows that are at least `IDENTITY` alike, float64 [N].

    Identity is counted over the residues of the row that is weighed. Blocks of rows are compared with all rows at once
    by matrix products of one-hot columns.
    """
    n, length = tokens.shape
    letters = np.arange(GAP, dtype=np.uint8)
    one_hot = (tokens[:, :, None] == letters).reshape(n, length * GAP).astype(np.float32)
    least = IDENTITY * (tokens < GAP).sum(axis=1)
    weights = np.empty(n)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        same = one_hot[block] @ one_hot.T  # [b, N]: residues that both have
        alike = (same >= least[block, None] - 1e-3).sum(axis=1)
        weights[block] = 1.0 / np.maximum(alike, 1)
    return weights
