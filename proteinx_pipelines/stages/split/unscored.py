"""Variants without a target: in no part of any fold, whatever the method."""

from dataclasses import replace

import pyarrow as pa

from proteinx_pipelines.records import Split, VariantTable

REASON = "no score: trained on for its other properties alone"


def with_unscored(split: Split, variants: VariantTable) -> Split:
    """The split of the scored variants as one of all variants, in the same parts; the others are last."""
    n = variants.n_variants - len(split.ids)
    if not n:
        return split
    reasons = [*split.reasons.cast(pa.string()).to_pylist(), *[REASON] * n]
    return replace(
        split,
        ids=variants.rows.column("id").combine_chunks(),
        reasons=pa.array(reasons, pa.string()).dictionary_encode(),
    )
