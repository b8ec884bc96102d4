"""Representations that need no weights: columns made from the residues at the positions that vary.

Positions where all sequences have the same residue carry no information and are left out, so the matrix covers the
mutated positions, not the whole protein. Sequences of different lengths are aligned at their first residue; columns
past the end of a shorter one are 0.
"""

from collections.abc import Sequence

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.scales import scale_table
from proteinx_pipelines.stages.embedding.onehot import PADDING

WINDOW = 3
"""Residues on each side of a mutation that `substitution` describes."""
_ROWS_PER_CHUNK = 8192


def residue_table(name: str) -> np.ndarray:
    """float32 [21, C]: the columns that `onehot`, `blosum62` or `scales` has for each residue; 0 for padding."""
    tables = {"onehot": np.eye(len(AMINO_ACIDS)), "blosum62": blosum62() / 4.0, "scales": scale_table()}
    return np.vstack([tables[name], np.zeros(tables[name].shape[1])]).astype(np.float32)


def varying_positions(tokens: np.ndarray) -> np.ndarray:
    """int64 [V], ascending: positions (from 0) where the N rows of tokens (uint8 [N, L]) are not all equal.

    All positions when none varies.
    """
    varying = np.flatnonzero((tokens != tokens[:1]).any(axis=0))
    return varying if len(varying) else np.arange(tokens.shape[1])


def residue_columns(name: str, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float32 [N, V * C]: for each position (int64 [V]) the columns of its residue."""
    table = residue_table(name)
    found = np.empty((len(tokens), len(positions) * table.shape[1]), np.float32)
    for start in range(0, len(tokens), _ROWS_PER_CHUNK):
        rows = slice(start, start + _ROWS_PER_CHUNK)
        found[rows] = table[tokens[rows][:, positions]].reshape(len(tokens[rows]), -1)
    return found


SUBSTITUTION_COLUMNS: Sequence[str] = (
    *(f"from_{letter}" for letter in AMINO_ACIDS), *(f"to_{letter}" for letter in AMINO_ACIDS),
    "blosum62", *(f"change_{number}" for number in range(8)), "mutations", "position",
    *(f"window_{offset:+d}_{number}" for offset in range(-WINDOW, WINDOW + 1) if offset for number in range(8)),
)  # fmt: skip
"""Names of the columns of `substitution_columns`."""


def substitution_columns(tokens: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Describe each variant's mutations, summed, in the same columns for every protein.

    Residues lost and gained (20 + 20), the BLOSUM62 score, the change of the 8 scales, the number of mutations,
    the mean position as a fraction of the variant's own length, and the scales of the template's neighbours up to
    three residues away (mean over the mutations). All 0 for the wild type.

    Args:
        tokens: uint8 [N, L] of `onehot.residue_tokens`.
        templates: uint8 [N, L], each row's template.

    Returns:
        float32 [N, 99], columns `SUBSTITUTION_COLUMNS`.
    """
    n = len(tokens)
    last = np.maximum(1, (tokens < PADDING).sum(axis=1) - 1)
    row, position = np.nonzero((tokens != templates) & (tokens < PADDING) & (templates < PADDING))
    old, new = templates[row, position], tokens[row, position]
    scales = np.vstack([scale_table(), np.zeros(8)])
    counts = np.bincount(row, minlength=n)
    share = 1.0 / np.maximum(counts, 1)[row]
    own = np.eye(len(AMINO_ACIDS))
    padded = np.pad(templates, ((0, 0), (WINDOW, WINDOW)), constant_values=PADDING)
    around = [
        scales[padded[row, position + WINDOW + offset]] * share[:, None]
        for offset in range(-WINDOW, WINDOW + 1)
        if offset
    ]
    pieces = [
        own[old], own[new], blosum62()[old, new][:, None] / 4.0, scales[new] - scales[old],
        np.ones((len(row), 1)), ((position / last[row]) * share)[:, None], *around,
    ]  # fmt: skip
    found = np.zeros((n, len(SUBSTITUTION_COLUMNS)))
    np.add.at(found, row, np.hstack(pieces))
    return found.astype(np.float32)
