"""`low_vs_high`: train on low targets, test on high ones.

Each source has its own threshold, since assays have different scales. Targets are those of the transform stage:
with `transform.target = negate`, low means a high measured score.

Source: the split low_vs_high of FLIP, Dallago et al. 2021, doi:10.1101/2021.11.09.467890 (`wild_type`).
"""

from collections.abc import Callable

import numpy as np

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, Assignment


def split_by_score(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Train on the targets up to each source's threshold (below it, for `wild_type`), test on the rest.

    Raises:
        BadVariants: `split.threshold` is `wild_type` and a source has no such row. Select it, or give a
        number.
    """
    target, mut_num = variants.column("target"), variants.column("mut_num")
    source = variants.rows.column("source").combine_chunks().dictionary_encode()
    names, code = source.dictionary.to_pylist(), source.indices.to_numpy()
    find, wording, is_below = _threshold(flags)
    thresholds = np.array([find(target[code == k], mut_num[code == k]) for k in range(len(names))])
    without = [name for name, threshold in zip(names, thresholds, strict=True) if np.isnan(threshold)]
    if without:
        raise BadVariants(
            f"`split.threshold` is 'wild_type', and these sources have no row `WT`: {', '.join(without)}. "
            "Import it, widen the selection, or give `split.threshold` as a number."
        )
    is_low = is_below(target, thresholds[code])
    rules = []
    for name, threshold in zip(names, thresholds.tolist(), strict=True):
        low, high = ("below", "not below") if flags.threshold == "wild_type" else ("at most", "above")
        rules += [f"target {side} {threshold:.6g}, {wording} of {name}" for side in (low, high)]
    return Assignment(
        parts=np.where(is_low, np.int8(TRAIN), np.int8(TEST))[:, None],
        rule=2 * code.astype(np.int64) + ~is_low,
        rules=tuple(rules),
        advice="Change `split.quantile` or `split.threshold`: the targets go from "
        f"{np.min(target):.6g} to {np.max(target):.6g}.",
        info={"thresholds": dict(zip(names, thresholds.tolist(), strict=True))},
    )


Threshold = Callable[[np.ndarray, np.ndarray], float]


def _threshold(flags: SplitFlags) -> tuple[Threshold, str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Threshold of a source (NaN if there is none), its name, and the mask of low targets."""
    if flags.threshold == "wild_type":
        return _wild_type_target, "the wild type", np.less
    if flags.threshold is not None:
        given = flags.threshold
        return lambda _target, _mut_num: given, "the threshold", np.less_equal
    return (
        lambda target, _mut_num: float(np.quantile(target, flags.quantile, method="lower")),
        f"the {flags.quantile:g} quantile",
        np.less_equal,
    )


def _wild_type_target(target: np.ndarray, mut_num: np.ndarray) -> float:
    own = target[mut_num == 0]
    return float(own.mean()) if len(own) else float("nan")
