"""One-hot encoding in its compact form: one byte for each residue instead of twenty floats.

The dense matrix is not built here: models build the columns they need from the tokens (`Embedding.dense`).
"""

import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.letters import as_letters, groups_by_length

PADDING = len(AMINO_ACIDS)
"""Token of the positions behind the end of a shorter sequence; its one-hot columns are all zero."""


def residue_tokens(sequences: pa.Array) -> np.ndarray:
    """Index of each residue in `AMINO_ACIDS`.

    Args:
        sequences: N texts over `AMINO_ACIDS`; the longest has L residues.

    Returns:
        uint8 [N, L], `PADDING` behind the end of shorter sequences; row i belongs to `sequences[i]`.
    """
    token_of = np.full(256, PADDING, dtype=np.uint8)
    token_of[as_letters(AMINO_ACIDS)] = np.arange(len(AMINO_ACIDS), dtype=np.uint8)
    groups = list(groups_by_length(sequences))
    longest = max((group.length for group in groups), default=0)
    tokens = np.full((len(sequences), longest), PADDING, dtype=np.uint8)
    for group in groups:
        tokens[group.rows, : group.length] = token_of[group.letters]
    return tokens
