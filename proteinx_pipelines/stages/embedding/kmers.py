"""Counts of residues, pairs and spaced pairs of a sequence: the same columns for every length and protein.

Independent of position, so insertions and deletions shift nothing. Meant for variants of different lengths; not the
best representation for substitutions.
"""

import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.letters import groups_by_length

GAPS = (1, 2, 3)
"""Distances of the two residues of a pair."""
WIDTH = len(AMINO_ACIDS) * (1 + len(GAPS) * len(AMINO_ACIDS))
_ROWS_PER_CHUNK = 4096


def kmer_columns(sequences: pa.Array) -> np.ndarray:
    """float32 [N, 1220]: counts of the 20 residues, then of the 400 ordered pairs at distances 1, 2 and 3."""
    n_letters = len(AMINO_ACIDS)
    code = np.full(256, -1, np.int64)
    code[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(n_letters)
    found = np.zeros((len(sequences), WIDTH), np.float32)
    for group in groups_by_length(sequences):
        for begin in range(0, len(group.rows), _ROWS_PER_CHUNK):
            rows = group.rows[begin : begin + _ROWS_PER_CHUNK]
            letters = code[group.letters[begin : begin + _ROWS_PER_CHUNK]]
            _count(found, rows, letters, 0)
            for number, gap in enumerate(GAPS):
                if group.length > gap:
                    pairs = letters[:, :-gap] * n_letters + letters[:, gap:]
                    _count(found, rows, pairs, n_letters + number * n_letters**2)
    return found


def _count(found: np.ndarray, rows: np.ndarray, codes: np.ndarray, begin: int) -> None:
    places = rows[:, None] * WIDTH + begin + codes
    counts = np.bincount(places.ravel() - rows.min() * WIDTH, minlength=(rows.max() - rows.min() + 1) * WIDTH)
    found[rows] += counts.reshape(-1, WIDTH)[rows - rows.min()]
