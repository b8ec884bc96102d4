"""Several goals at once: acquisition values of every property, combined into one, and constraints.

    pareto     candidates that no other one beats in every property come first, then those of the next front
    weighted   sum of the values, each divided by its deviation over the library, times `design.weights`

A candidate that probably misses a constraint (`at_least`, `at_most`) has the value -inf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from proteinx_pipelines.errors import EmptySelection
from proteinx_pipelines.flags.design import Bound, DesignFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.stages.design.acquisition import acquire, utility
from proteinx_pipelines.stages.design.earlier import Predicted

CONFIDENCE = 0.5
"""Least probability of a candidate to meet all constraints."""
_MOST_SORTED = 4_000
"""Candidates that are sorted into fronts: the best by each property and by the sum. The others come after them."""
Values = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Objective:
    """Goals of a design."""

    target: str
    """Name of the property that the experiment predicts."""
    goals: Mapping[str, object]
    """Property -> goal; of the target alone where there are no others."""
    best: Mapping[str, float] = field(default_factory=dict)
    """Utility of the best measured variant by each further property with a goal."""

    @property
    def is_single(self) -> bool:
        """True if the target's goal is all there is."""
        return len(self.goals) == 1 and not isinstance(self.goals[self.target], Bound)

    @property
    def sought(self) -> tuple[str, ...]:
        """Properties with a goal that is no constraint."""
        return tuple(name for name, goal in self.goals.items() if not isinstance(goal, Bound))

    def values(self, name: str, predicted: Predicted) -> Values:
        """Prediction and deviation of a property."""
        return (predicted.mean, predicted.deviation) if name == self.target else predicted.further[name]

    def measured(self, name: str, best: float) -> float:
        """Utility of the best measured variant; `best` is the target's."""
        return best if name == self.target else self.best[name]


def objective_of(flags: ExperimentFlags, best: Mapping[str, float] | None = None) -> Objective:
    """The goals that `design.goal` gives."""
    target, goal = flags.data.score or "DMS_score", flags.design.goal
    return Objective(target, goal if isinstance(goal, dict) else {target: goal}, best or {})


def single_goal(goal: object) -> object:
    """Goal by which the target alone is ranked: a constraint's direction."""
    if isinstance(goal, Bound):
        return "maximize" if goal.at_least is not None else "minimize"
    return goal


def for_target(flags: ExperimentFlags) -> DesignFlags:
    """The flags of the design with the target's goal alone."""
    objective = objective_of(flags)
    goal = single_goal(objective.goals[objective.target])
    return flags.design.model_copy(update={"goal": goal})


def meets(objective: Objective, predicted: Predicted) -> np.ndarray:
    """Probability of each candidate to meet all constraints, float64 [n]; of normal, independent predictions."""
    total = np.ones(predicted.candidates.n)
    for name, goal in objective.goals.items():
        if isinstance(goal, Bound):
            mean, deviation = objective.values(name, predicted)
            bound, sign = (goal.at_least, 1.0) if goal.at_least is not None else (goal.at_most, -1.0)
            total *= ndtr(sign * (mean - float(bound or 0.0)) / np.maximum(deviation, 1e-12))
    return total


def worth_of(objective: Objective, predicted: Predicted, flags: DesignFlags, best: float) -> np.ndarray:
    """Value of each candidate, float64 [n], higher is better; -inf where a constraint is probably missed.

    Raises:
        EmptySelection: every candidate probably misses a constraint.
    """
    parts = {
        name: acquire(
            *objective.values(name, predicted), objective.measured(name, best),
            flags.model_copy(update={"goal": objective.goals[name]}),
        )
        for name in objective.sought
    }  # fmt: skip
    return constrained(combine(parts, flags), objective, predicted)


def constrained(worth: np.ndarray, objective: Objective, predicted: Predicted) -> np.ndarray:
    """The values with -inf where a constraint is probably missed.

    Raises:
        EmptySelection: everywhere.
    """
    likely = meets(objective, predicted)
    if not (likely >= CONFIDENCE).any():
        raise EmptySelection(
            f"`design.goal`: no candidate is more likely than not to meet the constraints (the best has a probability "
            f"of {likely.max():.2g}). Loosen `at_least` or `at_most`, or widen the library."
        )
    return np.where(likely >= CONFIDENCE, worth, -np.inf)


def combine(parts: Mapping[str, np.ndarray], flags: DesignFlags) -> np.ndarray:
    """Combine acquisition values of several properties (float64 [n] each, higher is better) into one."""
    scaled = {name: part / max(float(np.nanstd(part)), 1e-300) for name, part in parts.items()}
    total = np.sum([flags.weights.get(name, 1.0) * part for name, part in scaled.items()], axis=0)
    if flags.combine == "weighted" or len(parts) == 1:
        return np.asarray(total)
    front, within = fronts(np.stack(list(scaled.values()), axis=1)), _ranks(total)
    return np.asarray(within - front)


def fronts(values: np.ndarray) -> np.ndarray:
    """Pareto front of each candidate, int64 [n] from 1; float64 [n, properties], higher is better.

    Only the best `_MOST_SORTED` are sorted; the others are in one front after all of theirs.
    """
    rows = _leading(values)
    looked, found = values[rows], np.zeros(len(values), np.int64)
    # beaten[i, j]: j is as good in every property and better in one
    beaten = np.ones((len(rows), len(rows)), bool)
    strictly = np.zeros_like(beaten)
    for column in looked.T:
        beaten &= column[None] >= column[:, None]
        strictly |= column[None] > column[:, None]
    beaten &= strictly
    left, number = np.ones(len(rows), bool), 0
    own = np.zeros(len(rows), np.int64)
    while left.any():
        number += 1
        first = left & ~beaten[:, left].any(axis=1)
        own[first] = number
        left &= ~first
    found[:] = number + 1
    found[rows] = own
    return found


def _leading(values: np.ndarray) -> np.ndarray:
    each = max(1, _MOST_SORTED // (values.shape[1] + 1))
    total = values.sum(axis=1)
    best = [np.argsort(-column, kind="stable")[:each] for column in (*values.T, total)]
    return np.unique(np.concatenate(best))


def _ranks(total: np.ndarray) -> np.ndarray:
    """Rank of each value, above 0 and below 1, the best highest."""
    found = np.empty(len(total))
    found[np.argsort(total, kind="stable")] = (np.arange(len(total)) + 1) / (len(total) + 1)
    return found


def drawn_worth(
    draws: Mapping[str, np.ndarray], objective: Objective, flags: DesignFlags, number: int
) -> np.ndarray:
    """Value of each candidate in one joint draw of every property, float64 [m].

    For the Pareto front each draw has weights of its own, uniform over all mixtures, so that a batch covers the front.

    Source:
        Knowles 2006, "ParEGO", doi:10.1109/TEVC.2005.851274.
    """
    names = list(draws)
    weights = np.array([flags.weights.get(name, 1.0) for name in names])
    if flags.combine == "pareto":
        weights = np.random.default_rng([flags.seed, number, 1]).dirichlet(np.ones(len(names)))
    parts = [utility(draws[name], objective.goals[name]) for name in names]
    scaled = [part / max(float(np.std(part)), 1e-300) for part in parts]
    return np.asarray(np.sum([w * part for w, part in zip(weights, scaled, strict=True)], axis=0))


def objective_columns(
    table: pa.Table, objective: Objective, predicted: Predicted, rows: np.ndarray
) -> pa.Table:
    """Append `p_constraints` and, for several goals, `front` (1: no candidate is predicted better in all of them)."""
    if any(isinstance(goal, Bound) for goal in objective.goals.values()):
        table = table.append_column("p_constraints", pa.array(meets(objective, predicted)[rows]))
    if len(objective.sought) > 1:
        columns = [
            utility(objective.values(name, predicted)[0], objective.goals[name]) for name in objective.sought
        ]
        table = table.append_column("front", pa.array(fronts(np.stack(columns, axis=1))[rows], pa.int32()))
    return table
