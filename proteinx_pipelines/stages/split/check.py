"""Invariants of every split: the blocking check of the split stage, also used in tests."""

import numpy as np

from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.split.leakage import find_leaks
from proteinx_pipelines.stages.split.leave_out import broken_sets

_PARTS = ("train", "val", "test")
_SHOWN = 5


def check_split(split: Split, variants: VariantTable) -> list[str]:
    """List the problems of a split, one sentence each; empty when it is sound.

    Sound means: its ids are those of the variants in their order; every fold's indices are in range and
    ascend; no row is in two parts of one fold; training and test rows are there; sets that are left out are of p and
    different; and no leakage check finds anything that `info["leakage"]` does not give a reason for.
    """
    if not split.ids.equals(variants.rows.column("id").combine_chunks()):
        return ["The ids of the split are not those of the variant table. Run the split stage again."]
    variants, n = variants.scored(), variants.n_scored  # the others are in no part
    problems = []
    for k, fold in enumerate(split.folds):
        name = f"Fold {k}" if split.is_cross_validation else "The split"
        found = _bad_indices(fold, n) or _in_two_parts(fold, variants)
        problems += [f"{name}: {problem}" for problem in found]
    return problems or [*broken_sets(split, variants), *_leaks(split, variants)]


def _bad_indices(fold: Fold, n: int) -> list[str]:
    problems = []
    for part in _PARTS:
        rows = getattr(fold, part)
        if len(rows) and (rows.min() < 0 or rows.max() >= n):
            problems.append(f"{part} has rows outside 0 to {n - 1}.")
        elif (np.diff(rows) <= 0).any():
            problems.append(f"{part} has rows twice or out of order.")
        elif not len(rows) and part != "val":
            problems.append(f"{part} is empty.")
    return problems


def _in_two_parts(fold: Fold, variants: VariantTable) -> list[str]:
    counts = np.zeros(variants.n_variants, np.int8)
    for part in _PARTS:
        counts[getattr(fold, part)] += 1
    rows = np.flatnonzero(counts > 1)
    if not len(rows):
        return []
    shown = ", ".join(variant_names(variants, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return [f"{len(rows)} row{' is' if len(rows) == 1 else 's are'} in more than one part ({shown}{more})."]


def _leaks(split: Split, variants: VariantTable) -> list[str]:
    allowed = {entry["check"] for entry in split.info.get("leakage", ()) if entry["reason"] is not None}
    return [f"{leak.check}: {leak.text}" for leak in find_leaks(split, variants) if leak.check not in allowed]
