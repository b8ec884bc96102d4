"""`clusters`: similar sequences are never in two parts.

Two sequences are similar when at least a fraction `split.identity` of their residues agree. Clusters are formed by
single linkage (chains of similar pairs), and a cluster is tested as a whole. Within one deep mutational scan most
variants form a single cluster at low thresholds; methods by position are more informative there.
"""

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants, EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import Assignment
from proteinx_pipelines.stages.split.distances import near_pairs
from proteinx_pipelines.stages.split.draw import sequence_keys
from proteinx_pipelines.stages.split.groups import DEFAULT_FOLDS, deal_groups, fold_parts, tested_fold
from proteinx_pipelines.unaligned import refuse_indels

MAX_SEQUENCES = 50_000
"""Most distinct sequences to compare pair by pair: 50,000 take minutes, and time grows with the square."""


def split_by_cluster(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Cluster the sequences and deal the clusters out to `split.folds` folds (when null, `tested_fold` of five).

    Raises:
        EmptySplit: there are fewer clusters than folds. BadVariants: too many sequences to compare.
    """
    n_folds = flags.folds or DEFAULT_FOLDS
    cluster = clusters(variants, flags.identity)
    sizes = np.bincount(cluster)
    what = f"clusters at identity {flags.identity:g}"
    if len(sizes) < n_folds:
        raise EmptySplit(_too_few(variants, sizes, flags, n_folds))
    refuse_indels(
        variants, "`split.method` 'clusters' compares residues place by place",
        "Take `random`, `stratified` or `file`, or leave such rows out with `data.where`.",
    )  # fmt: skip
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    fold = deal_groups(cluster, keys, n_folds, what)
    tested = list(range(n_folds)) if flags.folds else [tested_fold(fold, keys, n_folds)]
    return Assignment(
        parts=fold_parts(fold, n_folds)[:, tested],
        rule=fold,
        rules=tuple(
            f"in a cluster at identity {flags.identity:g} that is in fold {k}" for k in range(n_folds)
        ),
        advice="Raise `split.identity`, or take fewer `split.folds`.",
        info={
            "identity": flags.identity,
            "clusters": len(sizes),
            "largest_cluster": int(sizes.max()),
            "cluster_folds": n_folds,
        },
    )


def clusters(variants: VariantTable, identity: float) -> np.ndarray:
    """The cluster of each variant, int64 [N], numbered from 0 in the order of their first rows.

    Raises:
        BadVariants: there are more than `MAX_SEQUENCES` distinct sequences.
    """
    encoded = variants.rows.column("sequence").combine_chunks().dictionary_encode()
    n = len(encoded.dictionary)
    if n > MAX_SEQUENCES:
        raise BadVariants(
            f"`split.method` 'clusters' compares every pair of sequences, and there are {n:,}; at most "
            f"{MAX_SEQUENCES:,} are expected. Select fewer (`data.limit`), or take 'by_position'."
        )
    label = _linked(encoded.dictionary, identity)
    _, first, cluster = np.unique(label[encoded.indices.to_numpy()], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[cluster])


def _linked(sequences: pa.Array, identity: float) -> np.ndarray:
    """Label of each of n distinct sequences (int64 [n]); linked sequences share a label."""
    label = np.arange(len(sequences))
    for rows, others, near in near_pairs(sequences, identity):
        for row, is_near in zip(rows, near, strict=True):
            met = label[others[is_near]]
            if (met != label[row]).any():
                label[np.isin(label, met)] = met.min()
    return label


def _too_few(variants: VariantTable, sizes: np.ndarray, flags: SplitFlags, n_folds: int) -> str:
    longest = max(len(template) for template in variants.templates.values())
    return (
        f"At identity {flags.identity:g} the {variants.n_variants} variants hang together in {len(sizes)} "
        f"clusters (the largest has {sizes.max()}), and {n_folds} folds are wanted. Raise `split.identity` "
        f"({1 - 1 / longest:.4f} links variants that differ in one of {longest} residues), set `split.folds` "
        "lower, or take `split.method` 'by_position'."
    )
