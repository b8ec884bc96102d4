"""Best model without pretrained weights known to this project: `model.name=auto`.

A Gaussian process (`gp`, its own choice of kernel) averaged with gradient boosting (`boosting`), 0.6 to 0.4.
The Gaussian process is used alone if one-hot training rows have several mutations (the tree features describe single
mutations), or if there are fewer than `FEWEST_FOR_TREES` rows. The rule is the same for every data set: nothing is
chosen by looking at scores.

With a structure or an alignment (`Embedding.evidence`), `informed` chooses what is used, and the shares of both parts
are chosen on training rows left out as the split leaves out its test rows. With a prior, half is a model learned across
assays: where test positions were measured in training, a network (`known_positions`) beside a process that knows the
prior (a third each with trees, where there is a structure or an alignment); at new positions, another network
(`new_positions`) beside the mean of a process with the prior (up to `informed.MOST_INFORMED` rows) and one without it;
with a structure or an alignment beside process and trees, its share chosen on the rows left out, too.
A prior that has no such model is known to the process and to trees at known positions, to trees alone at new ones.
Models that err in different ways are better together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train import boosting, gp, known_positions, new_positions, substitution_table
from proteinx_pipelines.stages.train.boosting import TreesPredictor
from proteinx_pipelines.stages.train.evidence_sites import kinds_given
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor, restore_process
from proteinx_pipelines.stages.train.gp_rows import MutationRows
from proteinx_pipelines.stages.train.gp_structure import on_grid
from proteinx_pipelines.stages.train.informed import ALWAYS, Informed, about_kinds, fit_informed
from proteinx_pipelines.stages.train.promise import promise_of
from proteinx_pipelines.stages.train.substitution_table import SubstitutionTable
from proteinx_pipelines.stages.train.task import Fit, FitTask

NEW, KNOWN, SECOND, TREES = "new_positions", "known_positions", "gp_with_prior", "boosting"
"""Names of the tables, of the second process and of the trees, in settings, tensors and `training.json`."""
GP_SHARE = 0.6
FEWEST_FOR_TREES = 50
MODELS_OF_TREES = 4
"""Models of trees, averaged, beside a process with evidence. On GRB2, GFP and P53 the Spearman of one varies with its
seed by 0.002 to 0.03 (standard deviation); that of the mean of four by half as much, and is 0.002 to 0.014 higher."""
FEWEST_POSITIONS = 5
"""Training positions below which nothing can be learned of what makes one sensitive: the process keeps the prior."""
SHARE_BESIDE_TABLE = 0.5
"""Share of the processes beside predictions learned across assays."""
_SHARES = {"share": GP_SHARE, "share_of_first": 0.5}
"""Weights in settings, and those that are not written."""
SHARE_WITH_TREES = 2 / 3
"""Share of process and trees that know a structure or an alignment, of which a network knows nothing: a third each."""


@dataclass(frozen=True)
class AutoPredictor:
    """A Gaussian process and, most often, trees or a table of substitutions."""

    process: GpPredictor
    other: TreesPredictor | SubstitutionTable | None
    share: float = GP_SHARE
    """Weight of the process; that of the other part is the rest."""
    second: GpPredictor | TreesPredictor | None = None
    """A process that knows the prior, or trees: both together take the place of the process beside a table."""
    table: str = NEW
    """Name of `other` where it is a table."""
    share_of_first: float = 0.5
    """Weight of the process beside the second part."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        values = self.process.mean(embedding, rows)
        if self.second is not None:
            first = self.share_of_first
            values = first * values + (1 - first) * self.second.mean(embedding, rows)
        if self.other is None:
            return values
        return np.asarray(self.share * values + (1 - self.share) * self.other.mean(embedding, rows))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Deviation of the Gaussian process if it is alone; None for the mixture, which has none of its own."""
        return self.process.deviation(embedding, rows) if self.other is None else None

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and deviation of the rows, as `mean` and `deviation` give them."""
        if self.other is None:
            return self.process.both(embedding, rows)
        return self.mean(embedding, rows), None

    def typical_deviation(self) -> float | None:
        """As the Gaussian process where it is alone; None for the mixture."""
        return self.process.typical_deviation() if self.other is None else None

    @property
    def is_joint(self) -> bool:
        """True if the Gaussian process is alone."""
        return self.other is None

    @property
    def draws_any_number(self) -> bool:
        """As the Gaussian process."""
        return self.process.draws_any_number

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance of the Gaussian process, which is alone."""
        return self.process.covariance(embedding, rows)

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Joint draws of the Gaussian process, which is alone."""
        return self.process.draws(embedding, rows, n, seed)

    def settings(self) -> dict[str, Any]:
        """Settings of the parts."""
        shares = {
            name: getattr(self, name) for name, usual in _SHARES.items() if getattr(self, name) != usual
        }
        return {TREES: None, **{name: part.settings() for name, part in self._parts.items()}, **shares}

    def tensors(self) -> dict[str, np.ndarray]:
        """Tensors of the parts, prefixed with their names."""
        return {
            f"{part}.{name}": value
            for part, predictor in self._parts.items()
            for name, value in predictor.tensors().items()
        }

    @property
    def parts(self) -> list[str]:
        """Names of the parts."""
        return list(self._parts)

    @property
    def _parts(self) -> dict[str, GpPredictor | TreesPredictor | SubstitutionTable]:
        found: dict[str, GpPredictor | TreesPredictor | SubstitutionTable] = {"gp": self.process}
        if self.second is not None:
            found[SECOND if isinstance(self.second, GpPredictor) else TREES] = self.second
        if self.other is not None:
            found[self.table if isinstance(self.other, SubstitutionTable) else TREES] = self.other
        return found


def fit(task: FitTask) -> Fit:
    """Fit one fold."""
    apart = prior_apart(task)
    informed, facts = (None, about_kinds(task, apart)) if apart else fit_informed(task)
    if informed is not None:
        return _fit_with_evidence(task, informed, facts)
    process = gp.fit_gp(task, kernel=None)
    rows = process.rows
    several = isinstance(rows, MutationRows) and bool((rows.training.counts > 1).any())
    several = several or on_grid(rows) is not None
    alone = several or len(task.fold.train) < FEWEST_FOR_TREES
    table = new_positions.fit_table(task) if apart else None
    if table is not None:
        informed, told = fit_informed(task)
        second = None if informed is None else informed.predictor
        facts = facts if informed is None else {**facts, **told}
        predictor = AutoPredictor(process, table, SHARE_BESIDE_TABLE, second)
    elif (network := _at_known_positions(task)) is not None:
        predictor = AutoPredictor(process, network, SHARE_BESIDE_TABLE, table=KNOWN)
    else:
        trees = None if alone else boosting.fit_trees(task, kind=TREES, kinds=apart)
        predictor = AutoPredictor(process, trees)
    info = {
        "kernel": rows.name,
        "noise": process.parameters.noise,
        "converged": process.converged,
        "parts": predictor.parts,
        **facts,
        **process.chosen,
    }
    return Fit(predictor, info)


def prior_apart(task: FitTask) -> tuple[str, ...]:
    """Kinds of evidence that a process is not to know: a prior on its own, where test positions are new."""
    kinds = kinds_given(task)
    if not kinds or set(kinds) - set(ALWAYS) or len(task.fold.train) < FEWEST_FOR_TREES:
        return ()
    promise = promise_of(task)
    mutations = boosting.mutations_of(task) if promise.by_position else None
    if mutations is None or (mutations.counts > 1).any():
        return ()
    n_positions = len(np.unique(promise.positions(mutations)))
    return kinds if n_positions >= FEWEST_POSITIONS else ()


def _at_known_positions(task: FitTask) -> SubstitutionTable | None:
    """Predictions learned across assays, where a prior has them and test positions were measured in training."""
    if not kinds_given(task) or len(task.fold.train) < FEWEST_FOR_TREES or promise_of(task).by_position:
        return None
    return known_positions.fit_table(task)


def _fit_with_evidence(task: FitTask, informed: Informed, facts: Mapping[str, Any]) -> Fit:
    """Combine the process with what was learned across assays, or with trees that see the same evidence.

    At new positions with both; the shares of the trees and of what was learned are chosen on rows left out.
    """
    process, rows = informed.predictor, informed.choice.rows
    kinds = informed.choice.kinds
    only_prior = set(kinds) <= set(ALWAYS)
    predictor, told = AutoPredictor(process, None), {}
    if not rows.is_additive or len(task.fold.train) < FEWEST_FOR_TREES:
        pass
    elif (network := _at_known_positions(task)) is not None:
        share, trees = SHARE_BESIDE_TABLE, None
        if not only_prior:
            share, trees = SHARE_WITH_TREES, _trees_that_know(task, kinds)
        predictor = AutoPredictor(process, network, share, trees, KNOWN)
    elif not (only_prior and informed.promise.by_position):
        trees = _trees_that_know(task, kinds)
        left_out = None if only_prior else left_out_trees_of(task, informed)
        share = GP_SHARE if left_out is None else informed.share_beside(left_out)
        predictor, told = AutoPredictor(process, trees, share), {"gp_share": round(share, 3)}
        if left_out is not None and (table := _at_new_positions(task, informed)) is not None:
            both = share * informed.choice.predictions + (1 - share) * left_out
            beside = informed.share_beside(left_out_table_of(task, informed), both)
            predictor = AutoPredictor(process, table, beside, trees, share_of_first=share)
            told["table_share"] = round(1 - beside, 3)
    elif (table := _at_new_positions(task, informed)) is not None:
        # A structure or an alignment that does not help: the parts are those without it.
        predictor = AutoPredictor(gp.fit_gp(task, kernel=None), table, SHARE_BESIDE_TABLE, process)
    info = {
        "kernel": rows.name,
        "noise": process.parameters.noise,
        "converged": process.converged,
        "parts": predictor.parts,
        **told,
        **facts,
    }
    return Fit(predictor, info)


def _at_new_positions(task: FitTask, informed: Informed) -> SubstitutionTable | None:
    """Predictions learned across assays for new positions, where the process uses a prior that has them."""
    kinds, promise = informed.choice.kinds, informed.promise
    positions = promise.positions(informed.choice.rows.take(informed.few))
    is_enough = len(np.unique(positions)) >= FEWEST_POSITIONS
    if "prior" not in kinds or not promise.by_position or not is_enough:
        return None
    return new_positions.fit_table(task, by_structure="structure" in kinds)


def left_out_table_of(task: FitTask, informed: Informed) -> np.ndarray:
    """Predictions of the judged rows by what was learned across assays, as `left_out_trees_of`, float64 [f]."""
    few = informed.training[informed.few]
    groups = informed.promise.groups(informed.choice.rows.take(informed.few))
    found = np.full(len(few), informed.predictor.offset)
    for group in np.unique(groups):
        own = replace(task, fold=replace(task.fold, train=few[groups != group]))
        table = new_positions.fit_table(own, by_structure="structure" in informed.choice.kinds)
        if table is not None:  # none if nothing but the template itself is left
            found[groups == group] = table.mean(task.embedding, few[groups == group])
    return np.asarray((found - informed.predictor.offset) / informed.predictor.scale)


def _trees_that_know(task: FitTask, kinds: Sequence[str]) -> TreesPredictor:
    return boosting.fit_trees(task, kind=TREES, kinds=kinds, n_models=MODELS_OF_TREES)


def left_out_trees_of(task: FitTask, informed: Informed) -> np.ndarray:
    """Predictions of the judged rows by trees, in the same groups left out, in unit targets, float64 [f].

    Grown on the judged rows alone, as the process was: more rows would favour the trees.
    """
    groups = informed.promise.groups(informed.choice.rows.take(informed.few))
    own = replace(task, fold=replace(task.fold, train=informed.training[informed.few]))
    kinds = informed.choice.kinds
    found = boosting.left_out_trees(own, kind=TREES, kinds=kinds, groups=groups, n_models=MODELS_OF_TREES)
    return np.asarray((found - informed.predictor.offset) / informed.predictor.scale)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> AutoPredictor:
    """The predictor that exported these settings and tensors."""
    process = restore_process(settings["gp"], _of("gp", tensors))
    trees = boosting.restore(settings[TREES], _of(TREES, tensors)) if settings[TREES] else None
    for name in (NEW, KNOWN):
        if name in settings:
            table = substitution_table.restore(settings[name], _of(name, tensors))
            second = restore_process(settings[SECOND], _of(SECOND, tensors)) if SECOND in settings else trees
            share, first = (float(settings.get(key, usual)) for key, usual in _SHARES.items())
            return AutoPredictor(process, table, share, second, name, first)
    return AutoPredictor(process, trees, float(settings.get("share", GP_SHARE)))


def _of(part: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = f"{part}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
