"""Landscape: measured variants of one protein, from which a simulated campaign draws its measurements."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.campaign.pool import in_pool, keys_of
from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Selection, VariantTable
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.layout import Layout, layout_of
from proteinx_pipelines.stages.transform.transform import transform_variants

OWN, ONE_HOT = "own", "onehot"
"""Representations: the one of the flags, and the one of the additive baseline."""
FEWEST = 8


@dataclass(frozen=True)
class Landscape:
    """N measured variants; whatever a campaign measures is looked up here."""

    name: str
    variants: VariantTable
    candidates: Candidates
    """The N variants, in the order of the table."""
    embeddings: Mapping[str, Embedding]
    """By `OWN` and `ONE_HOT`."""
    target: np.ndarray
    """float64 [N], in the unit of the scores (after `transform.target`)."""
    utility: np.ndarray
    """float64 [N], higher is better for the goal."""
    goal: object
    left_out: int = 0
    """Measured variants that `design.*` leaves out."""

    @property
    def n(self) -> int:
        """Number of variants."""
        return len(self.target)

    @cached_property
    def layout(self) -> Layout:
        """Layout of the columns of one-hot vectors."""
        return layout_of(self.variants)

    @property
    def n_positions(self) -> int:
        """Number of positions at which any variant differs from the template."""
        return len(np.unique(self.candidates.position))

    @property
    def offset(self) -> int:
        """Position in the user's numbering minus position in the template."""
        return int(self.variants.offsets.get(self.candidates.source, 0))

    @property
    def scale(self) -> tuple[float, float]:
        """Utilities that count as 0 and 1: zero (the worst variant if any is below zero), and the best variant.

        Published campaigns on landscapes of positive scores divide by the largest score; this is the same there.
        """
        worst, best = float(self.utility.min()), float(self.utility.max())
        return (min(0.0, worst) if self.goal == "maximize" else worst), best

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Utilities as fractions of the way from 0 to 1 of `scale`."""
        zero, one = self.scale
        return (np.asarray(values, np.float64) - zero) / ((one - zero) or 1.0)

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys of the variants, ascending, and their rows."""
        keys = keys_of(self.candidates)
        order = np.argsort(keys)
        return keys[order], order

    def rows_of(self, candidates: Candidates) -> np.ndarray:
        """int64 [n]: rows of some of the variants."""
        keys, order = self._keys
        return np.asarray(order[np.searchsorted(keys, keys_of(candidates))])

    def digest(self) -> str:
        """SHA-256 of the variants, their targets and the goal."""
        found = hashlib.sha256(np.ascontiguousarray(self.target).tobytes())
        found.update("\n".join(self.variants.rows.column("id").to_pylist()).encode())
        found.update(f"{self.candidates.template}\n{self.goal}".encode())
        return found.hexdigest()


def landscape_of(
    selection: Selection,
    flags: ExperimentFlags,
    *,
    weights: Path | None = None,
    file: Path | None = None,
    excluded: VariantTable | None = None,
    monitor: StageMonitor | None = None,
) -> Landscape:
    """Prepare a landscape with the stages of an experiment: rows cleaned and merged, then represented.

    Args:
        selection: rows of one source.
        flags: `transform.*`, `embedding.*`, `design.goal`, and the constraints of `design.*` (`campaign.pool`).
        weights: resolved checkpoint of a language model.
        file: resolved `embedding.path`.
        excluded: measured variants of `design.exclude_sources`.
        monitor: receives progress.

    Raises:
        FlagError: several sources or goals; as `in_pool`. EmptySelection: too few measured variants.
        BadVariants, MissingWeights: as in an experiment.
    """
    goal = flags.design.goal
    if isinstance(goal, dict):
        names = ", ".join(goal)
        raise FlagError(
            [f"`design.goal` names {names}; a campaign is simulated for one property and one goal."]
        )
    variants = transform_variants(selection, flags.transform)
    if len(variants.templates) > 1:
        names = ", ".join(sorted(variants.templates))
        raise FlagError([f"`data.source` names {names}; a campaign is simulated on one source at a time."])
    (name,) = variants.templates
    candidates = candidates_of(
        name, variants.templates[name], variants.rows.column("mutant").combine_chunks()
    )
    kept = np.flatnonzero(in_pool(candidates, flags.design, variants.offsets.get(name, 0), excluded))
    left_out = candidates.n - len(kept)
    if left_out:
        variants = replace(variants, rows=variants.rows.take(pa.array(kept)))
        candidates = candidates.take(kept)
    target = variants.column("target").astype(np.float64)
    known = int(np.isfinite(target).sum())
    if known < max(FEWEST, len(target)):
        pool = f"; `design.*` leaves out {left_out:,} others" if left_out else ""
        raise EmptySelection(
            f"{name} has {known:,} measured variants of {len(target):,} after `data.*` and `transform.*`{pool}; a "
            f"simulation needs at least {FEWEST}, all with a score (`transform.missing` drop)."
        )
    watching = monitor or StageMonitor()
    own = embed_variants(variants, flags.embedding, watching, weights=weights, file=file)
    is_one_hot = flags.embedding.name == "onehot" and not flags.embedding.also
    simple = own if is_one_hot else embed_variants(variants, EmbeddingFlags(), watching)
    return Landscape(
        name, variants, candidates, {OWN: own, ONE_HOT: simple}, target, utility(target, goal), goal, left_out
    )
