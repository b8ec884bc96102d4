"""`n_vs_rest`: train on few mutations, test on more.

Source: the splits one_vs_rest, two_vs_rest and three_vs_rest of FLIP, Dallago et al. 2021,
doi:10.1101/2021.11.09.467890. The wild type has 0 mutations and is trained on.
"""

import numpy as np

from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, Assignment


def split_by_count(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Train on variants with at most `split.n` mutations, test on the rest."""
    mut_num = variants.column("mut_num")
    counts, rule = np.unique(mut_num, return_inverse=True)
    parts = np.where(mut_num <= flags.n, np.int8(TRAIN), np.int8(TEST))[:, None]
    found = ", ".join(str(count) for count in counts)
    return Assignment(
        parts=parts,
        rule=rule,
        rules=tuple(_rule(int(count), flags.n) for count in counts),
        advice=f"Change `split.n`, which is {flags.n}: the variants have {found} mutations.",
        info={"n": flags.n},
    )


def _rule(count: int, n: int) -> str:
    noun = "mutation" if count == 1 else "mutations"
    return f"{count} {noun}, {'at most' if count <= n else 'more than'} {n}"
