"""Gaussian process with evidence: which kinds are used, and how much each term weighs, chosen on rows left out.

What is left out imitates what the split asks of the model: single variants where test positions were measured in
training, whole positions where they were not. Weights are chosen by the likelihood of what is left out; kinds by its
squared error: a kind that does not lower it clearly is not used, so a useless structure or alignment costs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.evidence_sites import KINDS, kinds_given, sites_of, subsets
from proteinx_pipelines.stages.train.gaussian_process import Parameters, fit_parameters
from proteinx_pipelines.stages.train.gp import at_most
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor
from proteinx_pipelines.stages.train.gp_rows import MutationRows, describe_rows
from proteinx_pipelines.stages.train.gp_weights import solved
from proteinx_pipelines.stages.train.left_out import Weighed, left_out, marginal, weigh
from proteinx_pipelines.stages.train.promise import Promise, clearly_better, promise_of
from proteinx_pipelines.stages.train.replicate_noise import RowNoise
from proteinx_pipelines.stages.train.scales import choose_scales
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import FitTask

MOST_INFORMED = 8000
"""Most training rows of a fit with evidence: 64 million covariances, 0.5 GB, where `evidence_grid` has no way around.
More rows speak for themselves."""
MOST_JUDGED = 1000
"""Training rows on which kinds and weights are chosen: with 500, sixteen weights were chosen less well (GRB2, new
stretches of sites: Spearman 0.58, not 0.63)."""
MOST_WEIGHED = 250
"""Training rows on which weights alone are chosen, where a prior is all there is."""
ALWAYS = ("prior",)
"""Kinds that are used wherever they are given: their weights fall to nearly nothing where they do not help."""
USUAL_SHARE, PRIOR_ROWS = 0.6, 100
"""Share of the process beside trees where nothing is known, and the rows that it counts for."""


@dataclass(frozen=True)
class Choice:
    """One set of kinds, weighed and judged on rows left out."""

    kinds: tuple[str, ...]
    rows: MutationRows
    parameters: Parameters
    squared: np.ndarray
    """float64 [f]: squared error of the judged rows, each left out with its block (row, position or stretch)."""
    predictions: np.ndarray
    """float64 [f]: of the judged rows, each left out with its group, in unit targets."""
    factor: float = 1.0
    """By which deviations were multiplied."""
    relative: np.ndarray | None = None
    """float64 [n]: noise of each training row over the mean noise; None where all are alike."""
    about_errors: Mapping[str, Any] = field(default_factory=dict)
    """What was chosen about standard errors, for `training.json`."""


@dataclass(frozen=True)
class Informed:
    """A fitted process with evidence, and what it was chosen from."""

    predictor: GpPredictor
    choice: Choice
    training: np.ndarray
    """int64 [n]: training rows that were used."""
    few: np.ndarray
    """int64 [f]: judged rows, as indices of `training`."""
    unit: np.ndarray
    """float64 [f]: targets of the judged rows, with mean 0 and deviation 1 over the training rows."""
    promise: Promise
    errors: dict[str, float]
    """Kinds, joined by `+`, or `none` -> mean squared error of left-out rows."""

    def share_beside(self, others: np.ndarray, own: np.ndarray | None = None) -> float:
        """Share of the process in a mixture with another model, from both models' left-out predictions (float64 [f]).

        The share of least squared error, drawn towards `USUAL_SHARE` as by `PRIOR_ROWS` rows.

        Args:
            others: of the other model.
            own: of what has the share; of the process by itself if None.
        """
        apart = (self.choice.predictions if own is None else own) - others
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
            **report(self.errors, self.choice.kinds, self.promise),
            "deviation_factor": round(self.choice.factor, 4),
            **self.choice.about_errors,
            "weights": {
                name: round(float(weight), 4) for name, weight in zip(kernel.terms, weights, strict=True)
            },
        }


def report(errors: dict[str, float], kinds: tuple[str, ...], promise: Promise) -> dict[str, Any]:
    """Facts about a choice."""
    return {
        "evidence": list(kinds),
        "left_out": promise.name,
        "squared_error": {name: round(value, 4) for name, value in errors.items()},
    }


def fit_informed(task: FitTask) -> tuple[Informed | None, dict[str, Any]]:
    """Fit one fold with the evidence that pays.

    Returns:
        The fitted process, None if going without evidence is as good; and facts about the choice.
    """
    kinds = kinds_given(task)
    if not kinds:
        return None, {}
    rows = task.fold.train
    if len(rows) > MOST_INFORMED:
        why = f"{len(rows):,} training rows; evidence is used with up to {MOST_INFORMED:,}"
        return None, {"evidence": [], "evidence_left_out_because": why}
    plain = describe_rows(task.embedding, rows, task.templates, "mutation")
    assert isinstance(plain, MutationRows)
    targets = task.targets[rows]
    offset, scale = float(targets.mean()), deviation_of(targets)
    unit = (targets - offset) / scale
    optional = [kind for kind in kinds if kind not in ALWAYS]
    always = tuple(kind for kind in kinds if kind in ALWAYS)
    few = at_most(np.arange(len(rows)), MOST_JUDGED if optional else MOST_WEIGHED, task.seed)
    promise = promise_of(task)
    noise = None if task.noise is None else task.noise.of(rows, scale)
    choices = {
        chosen: _judged(_with(plain, task, (*chosen, *always)), (*chosen, *always), unit, few, promise, noise)
        for chosen in subsets(optional)
    }
    errors = {"+".join(choice.kinds) or "none": float(choice.squared.mean()) for choice in choices.values()}
    judged = plain.take(few)
    blocks = promise.blocks(judged) if promise.by_position else promise.positions(judged)
    best = choices[
        clearly_better({chosen: choice.squared for chosen, choice in choices.items()}, blocks, promise)
    ]
    if not best.kinds:
        return None, report(errors, (), promise)
    predictor = solved(best.rows, best.parameters, unit, offset, scale, best.relative)
    informed = Informed(predictor, best, rows, few, unit[few], promise, errors)
    return informed, {**informed.info(), **_about_prior(task)}


def about_kinds(task: FitTask, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Facts about kinds that are used without a choice."""
    return {"evidence": list(kinds), **_about_prior(task)}


def _about_prior(task: FitTask) -> dict[str, Any]:
    """Digest of the prior and what was left out of it."""
    found = task.embedding.evidence.info.get("prior") if task.embedding.evidence is not None else None
    return {"prior": dict(found)} if found else {}


def _with(plain: MutationRows, task: FitTask, kinds: tuple[str, ...]) -> MutationRows:
    """The rows under a kernel with these kinds of evidence; the mutation kernel for none."""
    sites = sites_of(task.embedding.evidence, plain.templates, [kind for kind in KINDS if kind in kinds])
    if not kinds or sites is None:
        return plain
    epistasis = bool((plain.training.counts > 1).any())
    kernel = EvidenceKernel(plain.templates, sites, epistasis=epistasis)
    return MutationRows(plain.templates, plain.training, kernel)


def _judged(
    rows: MutationRows,
    kinds: tuple[str, ...],
    unit: np.ndarray,
    few: np.ndarray,
    promise: Promise,
    noise: RowNoise | None = None,
) -> Choice:
    """Choose the weights of a kernel on the few rows, and judge it on groups of them left out."""
    chosen, targets = rows.take(few), unit[few]
    kernel = rows.kernel
    factor, relative, told = 1.0, None, {}
    if rows.is_additive:
        scales = choose_scales(rows, few, targets, promise, noise)
        weighed, parameters, factor, relative = (
            scales.weighed,
            scales.parameters,
            scales.factor,
            scales.relative,
        )
        terms = scales.terms
        told = scales.about_errors()
    else:
        parameters = _with_epistasis(kernel, chosen, targets)
        weighed = Weighed(np.zeros(1), parameters.noise, parameters.log_likelihood)
        terms = np.asarray([kernel.combine(kernel.pieces(chosen, chosen), parameters.kernel)])
    blocks = promise.blocks(chosen)
    own = None if relative is None else relative[few]
    squared = (targets - left_out(terms, targets, weighed, blocks, own)) ** 2
    predictions = left_out(terms, targets, weighed, promise.groups(chosen), own)
    return Choice(kinds, rows, parameters, squared, predictions, factor, relative, told)


def _with_epistasis(kernel: Any, rows: Any, targets: np.ndarray) -> Parameters:
    """Parameters for rows of several mutations, by marginal likelihood.

    With evidence the weights of the terms are chosen first, then the Gaussian of the distance that they define: all at
    once would take a minute.
    """
    if not isinstance(kernel, EvidenceKernel):
        return fit_parameters(kernel, rows, targets)
    terms = kernel.each_term(rows)
    weighed = weigh(terms, targets, kernel.start[: len(terms)], marginal)
    total = sum(weight * term for weight, term in zip(np.exp(weighed.parameters), terms, strict=True))
    found = fit_parameters(_Interactions(np.asarray(total), kernel.start[len(terms) :]), rows, targets)
    return Parameters(np.append(weighed.parameters, found.kernel), found.noise, found.log_likelihood)


class _Interactions:
    """Kernel of a known covariance and the Gaussian of the distance that it defines."""

    def __init__(self, total: np.ndarray, start: np.ndarray) -> None:
        self.start = start
        own = np.diag(total)
        self._pieces = (total, np.maximum(own[:, None] + own[None] - 2 * total, 0.0))

    def pieces(self, one: Any, other: Any) -> Any:  # noqa: ARG002  # the interface of a kernel
        """The covariance and the squared distances of the rows that it was made for."""
        return self._pieces

    def combine(self, pieces: Any, parameters: np.ndarray) -> np.ndarray:
        """Add the Gaussian."""
        return np.asarray(pieces[0] + np.exp(parameters[0] - pieces[1] / (2 * np.exp(parameters[1]))))

    def diagonal(self, rows: Any, parameters: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Covariance of each row with itself."""
        return np.asarray(np.diag(self._pieces[0]) + np.exp(parameters[0]))
