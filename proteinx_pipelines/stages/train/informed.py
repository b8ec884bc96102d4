"""Gaussian process with evidence: which kinds are used, and how much each term weighs, chosen on rows left out.

What is left out imitates what the split asks of the model: single variants where test positions were measured in
training, whole positions where they were not. A kind of evidence that does not raise the density of the left-out
rows is not used, so a useless structure or alignment costs nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train import gp
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.evidence_sites import KINDS, kinds_given, sites_of, subsets
from proteinx_pipelines.stages.train.gaussian_process import Parameters, fit_parameters
from proteinx_pipelines.stages.train.gp_rows import MutationRows, describe_rows
from proteinx_pipelines.stages.train.kernels import MutationKernel
from proteinx_pipelines.stages.train.left_out import Criterion, Weighed, by_groups, left_out, marginal, weigh
from proteinx_pipelines.stages.train.promise import Promise, promise_of
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import FitTask

MOST_INFORMED = 8000
"""Most training rows of an exact fit with evidence: 64 million covariances, 0.5 GB."""
MOST_JUDGED = 500
"""Training rows on which kinds and weights are chosen."""
USUAL_SHARE, PRIOR_ROWS = 0.6, 100
"""Share of the process beside trees where nothing is known, and the rows that it counts for."""


@dataclass(frozen=True)
class Choice:
    """One set of kinds, weighed and judged on rows left out."""

    kinds: tuple[str, ...]
    rows: MutationRows
    parameters: Parameters
    density: float
    """Mean log density of a left-out row."""
    predictions: np.ndarray
    """float64 [f]: of the judged rows, each left out with its group, in unit targets."""


@dataclass(frozen=True)
class Informed:
    """A fitted process with evidence, and what it was chosen from."""

    predictor: gp.GpPredictor
    choice: Choice
    training: np.ndarray
    """int64 [n]: training rows that were used."""
    few: np.ndarray
    """int64 [f]: judged rows, as indices of `training`."""
    unit: np.ndarray
    """float64 [f]: targets of the judged rows, with mean 0 and deviation 1 over the training rows."""
    promise: Promise
    densities: dict[str, float]
    """Kinds, joined by `+`, or `none` -> mean log density."""

    def share_beside(self, others: np.ndarray) -> float:
        """Share of the process in a mixture with another model, from both models' left-out predictions (float64 [f]).

        The share of least squared error, drawn towards `USUAL_SHARE` as by `PRIOR_ROWS` rows.
        """
        apart = self.choice.predictions - others
        prior = PRIOR_ROWS * float(np.mean(apart**2))
        top = float(apart @ (self.unit - others)) + prior * USUAL_SHARE
        bottom = float(apart @ apart) + prior
        return float(np.clip(top / bottom, 0.0, 1.0)) if bottom > 0 else USUAL_SHARE

    def info(self) -> dict[str, Any]:
        """What was chosen, for `training.json`."""
        kernel = self.choice.rows.kernel
        assert isinstance(kernel, EvidenceKernel)
        weights = np.exp(self.choice.parameters.kernel[: len(kernel.terms)])
        return {
            **report(self.densities, self.choice.kinds, self.promise),
            "weights": {
                name: round(float(weight), 4) for name, weight in zip(kernel.terms, weights, strict=True)
            },
        }


def report(densities: dict[str, float], kinds: tuple[str, ...], promise: Promise) -> dict[str, Any]:
    """Facts about a choice."""
    return {
        "evidence": list(kinds),
        "left_out": promise.name,
        "density": {name: round(value, 4) for name, value in densities.items()},
    }


def fit_informed(task: FitTask) -> tuple[Informed | None, dict[str, Any]]:
    """Fit one fold with the evidence that pays.

    Returns:
        The fitted process, None if going without evidence is as good; and facts about the choice.
    """
    kinds = kinds_given(task)
    if not kinds:
        return None, {}
    rows = gp.at_most(task.fold.train, MOST_INFORMED, task.seed)
    plain = describe_rows(task.embedding, rows, task.templates, "mutation")
    assert isinstance(plain, MutationRows)
    targets = task.targets[rows]
    offset, scale = float(targets.mean()), deviation_of(targets)
    unit = (targets - offset) / scale
    few = gp.at_most(np.arange(len(rows)), MOST_JUDGED, task.seed)
    promise = promise_of(task, plain.templates)
    choices = {
        "+".join(chosen) or "none": _judged(_with(plain, task, chosen), chosen, unit, few, promise)
        for chosen in subsets(kinds)
    }
    densities = {name: choice.density for name, choice in choices.items()}
    best = max(choices.values(), key=lambda choice: choice.density)
    if not best.kinds:
        return None, report(densities, (), promise)
    predictor = gp.solved(best.rows, best.parameters, unit, offset, scale)
    informed = Informed(predictor, best, rows, few, unit[few], promise, densities)
    return informed, informed.info()


def _with(plain: MutationRows, task: FitTask, kinds: tuple[str, ...]) -> MutationRows:
    """The rows under a kernel with these kinds of evidence; the mutation kernel for none."""
    sites = sites_of(task.embedding.evidence, plain.templates, [kind for kind in KINDS if kind in kinds])
    if not kinds or sites is None:
        return plain
    epistasis = bool((plain.training.counts > 1).any())
    kernel = EvidenceKernel(plain.templates, sites, epistasis=epistasis)
    return MutationRows(plain.templates, plain.training, kernel)


def _judged(
    rows: MutationRows, kinds: tuple[str, ...], unit: np.ndarray, few: np.ndarray, promise: Promise
) -> Choice:
    """Choose the weights of a kernel on the few rows, and judge it on groups of them left out."""
    chosen, targets = rows.take(few), unit[few]
    groups = promise.groups(chosen)
    kernel = rows.kernel
    if rows.is_additive:
        terms = kernel.each_term(chosen) if isinstance(kernel, EvidenceKernel) else _terms(kernel, chosen)
        criterion: Criterion = by_groups(promise.positions(chosen)) if promise.by_position else marginal
        weighed = weigh(terms, targets, kernel.start, criterion)
        parameters = Parameters(weighed.parameters, weighed.noise, weighed.log_likelihood)
    else:
        parameters = fit_parameters(kernel, chosen, targets)
        weighed = Weighed(np.zeros(1), parameters.noise, parameters.log_likelihood)
        terms = [kernel.combine(kernel.pieces(chosen, chosen), parameters.kernel)]
    predictions, density = left_out(terms, targets, weighed, groups)
    return Choice(kinds, rows, parameters, density, predictions)


def _terms(kernel: Any, rows: Any) -> list[np.ndarray]:
    assert isinstance(kernel, MutationKernel)
    return list(kernel.pieces(rows, rows))
