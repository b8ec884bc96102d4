"""Targets: the merged score, clipped, then transformed row by row, then cut into classes where that is asked.

Functions here must not depend on other rows: ranks and standardised targets are fitted on training rows, in the train
stage.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.stages.transform.refusals import SHOWN, listed

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": np.positive,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "negate": np.negative,
}
"""Functions by `transform.target`: float64 [N] to float64 [N]."""

_NEEDS = {
    "log": "scores greater than 0",
    "log2": "scores greater than 0",
    "log10": "scores greater than 0",
    "log1p": "scores greater than -1",
    "exp": "scores below about 709",
}


def compute_targets(score: np.ndarray, flags: TransformFlags, names: pa.ChunkedArray) -> np.ndarray:
    """Clip N scores (float64 [N]), apply `transform.target` and cut at `transform.bins`; `names` are for messages.

    Raises:
        BadVariants: a result is not a finite number. The message names the rows; set `transform.clip`, choose
            another function, or leave the rows out with `data.dms_score`. Or a class has no variant.
    """
    low, high = flags.clip.min, flags.clip.max
    clipped = score if low is None and high is None else np.clip(score, low, high)
    with np.errstate(all="ignore"):
        target = FUNCTIONS[flags.target](clipped)
    bad = np.flatnonzero(~np.isfinite(target))
    if len(bad):
        lines = [f"{names[int(row)]}: score {float(clipped[row])!r}" for row in bad[:SHOWN]]
        raise BadVariants(
            f"`transform.target` {flags.target!r} needs {_NEEDS.get(flags.target, 'finite scores')}; "
            f"{len(bad)} of {len(score)} variants have others:{listed(lines, len(bad))}\n"
            + _advice(flags.target)
        )
    return (
        _classes(np.asarray(target, np.float64), flags.bins) if flags.bins else np.asarray(target, np.float64)
    )


def _classes(target: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    """Number of thresholds that each target reaches, float64 [N].

    Raises:
        BadVariants: a class has no variant.
    """
    found = np.searchsorted(np.array(thresholds), target, side="right")
    counts = np.bincount(found, minlength=len(thresholds) + 1)
    if not counts.all():
        ends = ["-inf", *(f"{each:g}" for each in thresholds), "inf"]
        lines = [
            f"class {k} ({ends[k]} to {ends[k + 1]}): {count} variants" for k, count in enumerate(counts)
        ]
        raise BadVariants(
            f"`transform.bins` leaves a class without a variant. Targets range from {target.min():.6g} to "
            f"{target.max():.6g}:{listed(lines, len(lines))}\nSet thresholds that lie between the targets."
        )
    return found.astype(np.float64)


def _advice(function: str) -> str:
    if function.startswith("log"):
        smallest = "-0.999" if function == "log1p" else "0.001"
        return (
            f"Set `transform.clip.min` to the smallest score that counts (such as {smallest}), choose "
            "another `transform.target`, or leave such rows out with `data.dms_score.min`."
        )
    return "Set `transform.clip.min` and `transform.clip.max`, or leave such rows out with `data.dms_score`."
