"""A shard of a training: one fold, with its seed, its inputs and the record of its result.

`shards` runs it, `shard_files` keeps what it leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.positions import Sites, changed_sites
from proteinx_pipelines.records import Embedding, Split, VariantTable
from proteinx_pipelines.stages.train.registry import ModelEntry


@dataclass(frozen=True)
class Shard:
    """One fold to be fitted."""

    fold: int
    n_folds: int
    seed: int
    """Seed of this fold, below 2**32."""


@dataclass(frozen=True)
class ShardResult:
    """Record of a finished shard, plain JSON types; its model is in `model_folder`."""

    fold: int
    seed: int
    metrics: Mapping[str, float]
    info: Mapping[str, Any]
    files: Mapping[str, str]
    """File of the model -> SHA-256."""


@dataclass(frozen=True)
class ShardInputs:
    """Inputs shared by all shards of a training."""

    entry: ModelEntry
    variants: VariantTable
    embedding: Embedding
    split: Split
    flags: ExperimentFlags
    probabilities: bool = True
    """False if class probabilities are not asked for, which cost further fits."""

    @cached_property
    def sites(self) -> Sites:
        """Changed residues of the variants, which all folds share."""
        return changed_sites(self.variants)


def fold_seed(seed: int, fold: int) -> int:
    """Seed of fold `fold` (from 0): independent of the other folds, below 2**32."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1, dtype=np.uint32)[0])


def member_seed(seed: int, fold: int, member: int) -> int:
    """Seed of a member (from 0) of a fold's ensemble; the first has the fold's seed."""
    if member == 0:
        return fold_seed(seed, fold)
    return int(np.random.SeedSequence([seed, fold, member]).generate_state(1, dtype=np.uint32)[0])


def plan_shards(split: Split, flags: ExperimentFlags) -> list[Shard]:
    """Plan the shards of a training, one per fold."""
    n_folds = len(split.folds)
    return [Shard(fold, n_folds, fold_seed(flags.train.seed, fold)) for fold in range(n_folds)]
