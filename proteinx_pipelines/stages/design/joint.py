"""Joint uncertainty of the final model over candidates: draws of the whole library at once, and covariances.

A model with a covariance (`gp`, `auto` where it is one, any ensemble) gives joint draws: of the whole library where its
structure allows it (`stages.train.joint`), else of the library's best `MOST_JOINT`. They are scaled by the calibration
of the deviations. A model without one has independent draws, said to be so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel

MOST_JOINT = 2_048
"""Most candidates with a covariance matrix."""
EXACT, OF_THE_BEST, INDEPENDENT = (
    "joint over the whole library", "joint over the best of the library",
    "independent: the model has no covariance",
)  # fmt: skip


@dataclass(frozen=True)
class Draws:
    """Draws of the values of candidates."""

    rows: np.ndarray
    """int64 [m]: the candidates drawn."""
    values: Iterator[np.ndarray]
    """One array a draw, float64 [m], in the target's unit, calibrated."""
    kind: str
    """How they go together, in words."""


def draw_library(model: FinalModel, predicted: Predicted, optimism: np.ndarray, n: int, seed: int) -> Draws:
    """Draw n functions and evaluate each at the candidates.

    Args:
        model: the final model.
        predicted: N candidates with their means and deviations.
        optimism: float64 [N], higher is better: chooses the candidates where not all can be drawn jointly.
        n: number of draws; draw k depends on `seed` and k alone.
        seed: below 2**32.
    """
    everything = np.arange(predicted.candidates.n)
    known = model.model.joint if model.intervals.kind == "scaled" else None
    if known is None:
        return Draws(everything, _independent(predicted, n, seed), INDEPENDENT)
    asked = (everything, best_rows(optimism)) if known.draws_any_number else (best_rows(optimism),)
    for rows in asked:
        embedding = model.embedded(predicted.candidates.take(rows))
        found = model.model.predict_draws(embedding, np.arange(len(rows)), n, (seed,))
        if found is not None:
            mean, factor = predicted.mean[rows], model.intervals.factor
            calibrated = (mean + factor * (values - mean) for values in found)
            return Draws(rows, calibrated, EXACT if len(rows) == len(everything) else OF_THE_BEST)
    raise AssertionError("a covariance of the best candidates can always be drawn from")


def covariance(model: FinalModel, candidates: Candidates) -> np.ndarray | None:
    """Calibrated covariance of at most `MOST_JOINT` candidates, float64 [m, m]; None without joint uncertainty."""
    if model.intervals.kind == "constant":
        return None
    found = model.model.predict_covariance(model.embedded(candidates), np.arange(candidates.n))
    return None if found is None else found * model.intervals.factor**2


def best_rows(optimism: np.ndarray) -> np.ndarray:
    """int64 [m], ascending: at most `MOST_JOINT` candidates, the best first to enter."""
    return np.sort(np.argsort(-optimism, kind="stable")[:MOST_JOINT])


def _independent(predicted: Predicted, n: int, seed: int) -> Iterator[np.ndarray]:
    for number in range(n):
        random: np.random.Generator = np.random.default_rng([seed, number])
        yield predicted.mean + predicted.deviation * random.standard_normal(len(predicted.mean))
