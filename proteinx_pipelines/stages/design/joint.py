"""Joint uncertainty of the final model over candidates: draws of the whole library at once, and covariances.

A model with a covariance of its own (`gp`, `auto` where it is one) gives exact draws: of the whole library where its
kernel has the structure (`stages.train.joint`), else of the library's best `MOST_JOINT`. Several seeds of a model
without one give the covariance of their spread. Everything is scaled by the calibration of the deviations. A model with
neither has no joint uncertainty; its draws are independent, and said to be.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel

MOST_JOINT = 2_048
"""Most candidates with a covariance matrix."""
EXACT, OF_THE_BEST, OF_SEEDS, INDEPENDENT = (
    "joint over the whole library", "joint over the best of the library", "joint, by the spread of the seeds",
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
    if model.draws_any_number and (found := _by_models(model, predicted, everything, n, seed)):
        return Draws(everything, found, EXACT)
    if model.has_covariance:
        rows = best_rows(optimism)
        if found := _by_models(model, predicted, rows, n, seed):
            return Draws(rows, found, EXACT if len(rows) == len(everything) else OF_THE_BEST)
    if len(model.models) > 1:
        return Draws(everything, _by_seeds(model, predicted, n, seed), OF_SEEDS)
    return Draws(everything, _independent(predicted, n, seed), INDEPENDENT)


def covariance(model: FinalModel, candidates: Candidates) -> np.ndarray | None:
    """Calibrated covariance of at most `MOST_JOINT` candidates, float64 [m, m]; None without joint uncertainty."""
    if model.intervals.kind == "constant":
        return None
    embedding = model.embedded(candidates)
    rows = np.arange(candidates.n)
    own = [found for each in model.models if (found := each.predict_covariance(embedding, rows)) is not None]
    total = np.zeros((candidates.n, candidates.n))
    if len(own) == len(model.models):
        total += np.mean(own, axis=0)
    elif len(model.models) == 1:
        return None
    if len(model.models) > 1:
        total += np.cov(np.stack([each.predict(embedding, rows) for each in model.models]).T, ddof=0)
    return total * model.intervals.factor**2


def best_rows(optimism: np.ndarray) -> np.ndarray:
    """int64 [m], ascending: at most `MOST_JOINT` candidates, the best first to enter."""
    return np.sort(np.argsort(-optimism, kind="stable")[:MOST_JOINT])


def _by_models(
    model: FinalModel, predicted: Predicted, rows: np.ndarray, n: int, seed: int
) -> Iterator[np.ndarray] | None:
    """Draw k is of seed k modulo the number of seeds: draws of the mixture. None if a model has none."""
    embedding = model.embedded(predicted.candidates.take(rows))
    asked = np.arange(len(rows))
    found = [each.predict_draws(embedding, asked, n, (seed, k)) for k, each in enumerate(model.models)]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    mean, factor = predicted.mean[rows], model.intervals.factor
    return (mean + factor * (next(known[k % len(known)]) - mean) for k in range(n))


def _by_seeds(model: FinalModel, predicted: Predicted, n: int, seed: int) -> Iterator[np.ndarray]:
    """Normal draws with the covariance of the seeds' predictions, which has their number as its rank."""
    each = model.members(predicted.candidates)
    apart = (each - each.mean(axis=0)) / np.sqrt(len(each))
    for number in range(n):
        weights = np.random.default_rng([seed, number]).standard_normal(len(each))
        yield predicted.mean + model.intervals.factor * (weights @ apart)


def _independent(predicted: Predicted, n: int, seed: int) -> Iterator[np.ndarray]:
    for number in range(n):
        random: np.random.Generator = np.random.default_rng([seed, number])
        yield predicted.mean + predicted.deviation * random.standard_normal(len(predicted.mean))
