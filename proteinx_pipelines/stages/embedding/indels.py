"""Refusal of insertions and deletions by representations that compare residues position by position."""

from proteinx_pipelines.domain.embedders import FROM_FILES
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.unaligned import refuse_indels

PLACE_BY_PLACE = ("onehot", "blosum62", "scales", "substitution", *FROM_FILES)
_POOLINGS = ("mutated", "mutated_difference", "per_residue")
_REMEDY = (
    "Take `embedding.name=kmers` or a language model with `embedding.pooling` mean or bos, or leave such rows out with "
    "`data.where`."
)


def refuse_misaligned(variants: VariantTable, flags: EmbeddingFlags) -> None:
    """Stop where variants have insertions or deletions and a flag asks for a representation by position.

    Raises:
        BadVariants: such a flag is set; the message names it and the representations that work.
    """
    for name in (flags.name, *flags.also):
        if name in PLACE_BY_PLACE:
            refuse_indels(variants, f"`embedding.name` {name!r} compares residues place by place", _REMEDY)
    if flags.pooling in _POOLINGS and flags.name not in ("file", "kmers"):
        refuse_indels(variants, f"`embedding.pooling` {flags.pooling!r} looks at single positions", _REMEDY)
    if flags.zero_shot != "none":
        refuse_indels(variants, f"`embedding.zero_shot` {flags.zero_shot!r} scores substitutions", _REMEDY)
