"""Refuses variants with insertions and deletions where what is computed compares residues place by place."""

import numpy as np

from proteinx_pipelines.edits import rows_with_indels
from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import VariantTable

_SHOWN = 3


def refuse_indels(variants: VariantTable, what: str, remedy: str) -> None:
    """Stop where variants have insertions or deletions.

    Args:
        variants: N rows.
        what: cannot work with them, as the beginning of a sentence.
        remedy: what to do.

    Raises:
        BadVariants: there are some; the message names three.
    """
    found = np.flatnonzero(rows_with_indels(variants.rows.column("mutant")))
    if len(found):
        shown = ", ".join(variant_names(variants, found[:_SHOWN]))
        raise BadVariants(
            f"{what}, and {len(found):,} of {variants.n_variants:,} variants insert or delete residues ({shown}), "
            f"which moves all places behind them. {remedy}"
        )
