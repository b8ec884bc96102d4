"""Additive baseline: one effect per mutation, learned from the training rows; effects add up.

One-hot ridge with penalty 1, fitted per source: position 5 of two proteins is not the same position. Every embedding
and model is compared with it. It is not a value of `model.name`; use `ridge` on one-hot for that.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.edits import rows_with_indels
from proteinx_pipelines.records import Embedding, Split, VariantTable
from proteinx_pipelines.stages.embedding.onehot import residue_tokens
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.train.ridge import fit_ridge

ALPHA = 1.0
"""L2 penalty on the effects: scikit-learn's default, and ProteinGym's and FLIP's one-hot ridge."""
_MIN_ROWS = 2


def additive_predictions(
    variants: VariantTable, split: Split, test: Predictions, tokens: np.ndarray | None = None
) -> np.ndarray:
    """Predict the rows of `test` from their mutations.

    A mutation without a training row has effect 0. A source without training rows gets the fold's mean target, and so
    does a variant with insertions or deletions, which has no per-position mutations.

    Args:
        variants: N rows.
        split: the training rows of fold k give the effects for its test rows.
        test: P test rows and their folds.
        tokens: uint8 [N, L], residues of the rows where the embedding has them: they are not read from text again.

    Returns:
        float64 [P], in the target's unit; NaN where a fold has no training row.
    """
    target = variants.column("target").astype(np.float64)
    found = np.array([target[fold.train].mean() if len(fold.train) else np.nan for fold in split.folds])[
        test.fold
    ]
    source = variants.rows.column("source").combine_chunks()
    aligned = ~rows_with_indels(variants.rows.column("mutant"))
    for name in variants.templates:
        own = pc.equal(source, name).to_numpy(zero_copy_only=False) & aligned
        rows = np.flatnonzero(own)
        if tokens is None or len(rows) < variants.n_variants:
            text = variants.rows.column("sequence").cast(pa.large_string())  # joined, they may pass 2 GiB
            sequences = text.take(pa.array(rows)).combine_chunks()
            one_hot = Embedding(ids=sequences, info={}, tokens=residue_tokens(sequences))
        else:
            one_hot = Embedding(ids=variants.rows.column("id").combine_chunks(), info={}, tokens=tokens)
        place = np.cumsum(own) - 1
        for number in np.unique(test.fold[own[test.rows]]):
            train = split.folds[number].train
            train = train[own[train]]
            if len(train) < _MIN_ROWS:
                continue
            model = fit_ridge(one_hot, place[train], target[train], alpha=ALPHA)
            here = np.flatnonzero((test.fold == number) & own[test.rows])
            found[here] = model.mean(one_hot, place[test.rows[here]])
    return np.asarray(found, dtype=np.float64)
