"""Records of the variants that have a target: they alone are judged.

Where one model learns several properties, variants of a further property alone are the last rows of each record.
"""

from dataclasses import replace

from proteinx_pipelines.records import Embedding, Split, VariantTable

Records = tuple[VariantTable, Embedding, Split]


def scored_records(variants: VariantTable, embedding: Embedding, split: Split) -> Records:
    """The records without the rows that have no target; row i stays row i."""
    n = variants.n_scored
    if n == variants.n_variants:
        return variants, embedding, split
    vectors, tokens = (None if each is None else each[:n] for each in (embedding.vectors, embedding.tokens))
    return (
        variants.scored(),
        replace(embedding, ids=embedding.ids.slice(0, n), vectors=vectors, tokens=tokens),
        replace(split, ids=split.ids.slice(0, n), reasons=split.reasons.slice(0, n)),
    )
