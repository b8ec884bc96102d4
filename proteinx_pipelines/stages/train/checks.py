"""Checks of the input records before fitting; every message names the rows or the fold."""

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants, CorruptArtifact, EmptySplit
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import Embedding, Fold, Split, VariantTable

_CHUNK_ROWS = 8192


def check_inputs(variants: VariantTable, embedding: Embedding, split: Split) -> None:
    """Check that the records are of the same variants, and that the models' inputs exist and are finite.

    Raises:
        CorruptArtifact: the ids differ; run the named stage again.
        EmptySplit: a fold has no training rows; change `split.*`.
        BadVariants: targets or vectors of training or validation rows are not finite; see the message.
    """
    _check_same_rows(variants, embedding, split)
    targets = variants.column("target").astype(np.float64)
    for k, fold in enumerate(split.folds):
        if not len(fold.train):
            raise EmptySplit(f"Fold {k} has no training rows; at least one is expected. Change `split.*`.")
        seen = _seen(fold)
        _refuse(
            seen[~np.isfinite(targets[seen])],
            variants,
            f"targets in fold {k} are not finite",
            "Change `transform.target`, or restrict `data.dms_score`.",
        )
    _check_vectors(embedding, split, variants)


def _check_same_rows(variants: VariantTable, embedding: Embedding, split: Split) -> None:
    ids = variants.rows.column("id").combine_chunks().cast(pa.large_string())
    for name, other in (("embedding", embedding.ids), ("split", split.ids)):
        flat = other.combine_chunks() if isinstance(other, pa.ChunkedArray) else other
        if not flat.cast(pa.large_string()).equals(ids):
            raise CorruptArtifact(
                f"The {name} is of {len(other)} ids that are not the variant table's {len(ids)}, in the same "
                f"order. Run the {name} stage again."
            )


def _check_vectors(embedding: Embedding, split: Split, variants: VariantTable) -> None:
    """Check each row that a model reads once, a few thousand at a time."""
    if embedding.vectors is None:
        return
    unscored = np.arange(variants.n_scored, variants.n_variants)  # trained on for their further properties
    rows = np.unique(np.concatenate([unscored, *(_seen(fold) for fold in split.folds)]))
    chunks = (rows[start : start + _CHUNK_ROWS] for start in range(0, len(rows), _CHUNK_ROWS))
    bad = [chunk[~np.isfinite(embedding.vectors[chunk]).all(axis=1)] for chunk in chunks]
    remedy = "Embed again, with `embedding.precision` 'fp32'."
    _refuse(
        np.concatenate(bad),
        variants,
        f"vectors of the embedding {embedding.info.get('name')!r} are not finite",
        remedy,
    )


def _seen(fold: Fold) -> np.ndarray:
    return np.concatenate([fold.train, fold.val])


def _refuse(bad: np.ndarray, variants: VariantTable, what: str, remedy: str) -> None:
    if len(bad):
        named = ", ".join(variant_names(variants, bad[:5]) + ["..."] * (len(bad) > 5))
        raise BadVariants(f"{len(bad)} {what} ({named}); numbers are expected. {remedy}")
