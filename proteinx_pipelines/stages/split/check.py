"""What must be true of every split, whoever made it: the blocking check of the split stage, and of tests."""

import numpy as np

from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.split.draw import sequence_keys

_PARTS = ("train", "val", "test")
_SHOWN = 5


def check_split(split: Split, variants: VariantTable) -> list[str]:
    """List what is wrong with a split, one sentence each; nothing when it is sound.

    Sound means: its ids are those of the variants in their order; every fold's indices are in range and
    ascend; no row, and no sequence, is in two parts of one fold; training and test rows are there.
    """
    n = variants.n_variants
    if not split.ids.equals(variants.rows.column("id").combine_chunks()):
        return ["The ids of the split are not those of the variant table. Run the split stage again."]
    keys = sequence_keys(variants.rows.column("sequence"), seed=0)
    sequence = np.asarray(np.unique(keys, return_inverse=True)[1], np.int64)
    problems = []
    for k, fold in enumerate(split.folds):
        name = f"Fold {k}" if split.is_cross_validation else "The split"
        found = _bad_indices(fold, n) or _in_two_parts(fold, sequence, split)
        problems += [f"{name}: {problem}" for problem in found]
    return problems


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


def _in_two_parts(fold: Fold, sequence: np.ndarray, split: Split) -> list[str]:
    for kind, label in (("row", np.arange(len(sequence))), ("sequence", sequence)):
        parts = np.zeros(len(sequence), np.int8)
        for bit, part in enumerate(_PARTS):
            parts[label[getattr(fold, part)]] |= 1 << bit
        several = np.flatnonzero(np.bitwise_count(parts) > 1)
        if len(several):
            rows = np.flatnonzero(np.isin(label, several))
            shown = ", ".join(str(split.ids[int(row)]) for row in rows[:_SHOWN])
            more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
            advice = " Set `transform.synonymous` to merge." if kind == "sequence" else ""
            noun = f"{kind} is" if len(several) == 1 else f"{kind}s are"
            return [f"{len(several)} {noun} in more than one part ({shown}{more}).{advice}"]
    return []
