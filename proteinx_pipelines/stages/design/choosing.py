"""Choice of the batch from a predicted library: acquisition, way of the batch, and a share chosen to explore."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design import joint
from proteinx_pipelines.stages.design.acquisition import acquire, utility
from proteinx_pipelines.stages.design.batch import POOL, best_of, choose, choose_by, pool_size
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel
from proteinx_pipelines.stages.design.objective import Objective, drawn_worth, worth_of
from proteinx_pipelines.stages.design.shortfalls import CLUSTERS, EXPLORE, LIAR, PENALTIES, THOMPSON, Looked

_DEVIATIONS = 2.0
"""Deviations added to a prediction to decide which candidates are drawn jointly where not all can be."""
_MOST_CLUSTERED = 2_000
"""Most candidates that are clustered: their distances are 16 MB."""


@dataclass(frozen=True)
class Choice:
    """The chosen batch."""

    rows: np.ndarray
    """int64 [k]: candidates, in the order in which they were chosen."""
    worth: np.ndarray
    """float64 [k]: acquisition value when it was chosen, without penalties; deviation for an explored one."""
    explored: np.ndarray
    """bool [k]: chosen for what the model does not know."""
    looked: Looked
    """Candidates among which they were chosen."""
    facts: dict[str, Any]
    """How it was chosen, for the report."""


def choose_batch(
    predicted: Predicted,
    measured: Measured,
    model: FinalModel,
    flags: DesignFlags,
    objective: Objective | None = None,
) -> Choice:
    """Choose `design.n` variants by `design.acquisition`, `design.batching` and `design.explore`.

    Args:
        predicted: the library.
        measured: of the same source.
        model: the final model.
        flags: with the target's goal.
        objective: goals of several properties, if there are any.

    Raises:
        EmptySelection: every candidate probably misses a constraint.
    """
    if objective is not None and objective.is_single:
        objective = None
    n_explored = round(flags.explore * flags.n)
    main = flags.model_copy(update={"n": flags.n - n_explored})
    found = _main(predicted, measured, model, main, objective) if main.n else _nothing()
    if not n_explored:
        return found
    left = np.setdiff1d(np.arange(predicted.candidates.n), found.rows)
    pool = left[best_of(predicted.deviation[left], flags)]
    deviation = predicted.deviation[pool]
    more = pool[
        choose_by(
            predicted.candidates.take(pool), lambda _: deviation, float(np.nanstd(predicted.deviation)),
            flags, n_explored, before=predicted.candidates.take(found.rows),
        )
    ]  # fmt: skip
    return Choice(
        np.concatenate([found.rows, more]),
        np.concatenate([found.worth, predicted.deviation[more]]),
        np.concatenate([found.explored, np.ones(len(more), bool)]),
        found.looked if len(found.rows) < main.n else Looked(EXPLORE, len(pool), len(left)),
        {**found.facts, "n_explored": len(more)},
    )


def _main(
    predicted: Predicted,
    measured: Measured,
    model: FinalModel,
    flags: DesignFlags,
    objective: Objective | None,
) -> Choice:
    if flags.acquisition == "thompson":
        return _thompson(predicted, model, flags, objective)
    if objective is None:
        worth = acquire(predicted.mean, predicted.deviation, measured.best, flags)
    else:
        worth = worth_of(objective, predicted, flags, measured.best)
    if flags.batching == "liar" and objective is None:
        if (found := _liar(predicted, measured, model, flags, worth)) is not None:
            return found
        rows, way = (
            choose(predicted.candidates, worth, _spread(worth), flags),
            _why_not(objective),
        )
    elif flags.batching == "clusters":
        pool = _clustered(worth, flags)
        rows = _by_clusters(predicted.candidates, worth, pool, flags)
        return _choice(rows, worth[rows], {"batch": "clusters"}, Looked(CLUSTERS, len(pool), _n_open(worth)))
    else:
        rows, way = choose(predicted.candidates, worth, _spread(worth), flags), "penalties"
    n_open = _n_open(worth)
    looked = Looked(PENALTIES, min(n_open, pool_size(flags)), n_open)
    return _choice(rows, worth[rows], {"batch": way}, looked)


def _why_not(objective: Objective | None) -> str:
    why = "the model has no covariance" if objective is None else "there are several goals"
    return f"penalties, no liar: {why}"


def _thompson(
    predicted: Predicted, model: FinalModel, flags: DesignFlags, objective: Objective | None
) -> Choice:
    """Each variant is the best of a draw of its own."""
    optimism = utility(predicted.mean, flags.goal) + _DEVIATIONS * predicted.deviation
    if objective is not None:
        hopeful = flags.model_copy(update={"acquisition": "ucb", "beta": _DEVIATIONS})
        optimism = worth_of(objective, predicted, hopeful, -np.inf)
        return _thompson_of_several(predicted, model, flags, objective, optimism)
    draws = joint.draw_library(model, predicted, optimism, flags.n, flags.seed)
    looked = predicted.candidates.take(draws.rows)
    values = _Remembered(utility(each, flags.goal) for each in draws.values)
    spread = _spread(utility(predicted.mean, flags.goal))
    chosen = choose_by(looked, values, spread, flags, min(flags.n, looked.n))
    facts = {"batch": "one draw for each variant", "draws": draws.kind, "n_drawn": looked.n}
    among = Looked(THOMPSON, looked.n, predicted.candidates.n)
    return _choice(draws.rows[chosen], np.asarray(values.of(chosen)), facts, among)


def _thompson_of_several(
    predicted: Predicted, model: FinalModel, flags: DesignFlags, objective: Objective, optimism: np.ndarray
) -> Choice:
    """A joint draw of each property; properties are independent of one another."""
    open_rows = np.flatnonzero(np.isfinite(optimism))
    rows = open_rows[joint.best_rows(optimism[open_rows])]
    looked, iterators, kinds = predicted.candidates.take(rows), {}, set()
    for number, name in enumerate(objective.sought):
        mean, deviation = objective.values(name, predicted)
        own = Predicted(looked, mean[rows], deviation[rows], predicted.wild_type)
        whose = model if name == objective.target else model.further[name]
        draws = joint.draw_library(whose, own, own.mean, flags.n, (flags.seed + number) % 2**32)
        iterators[name] = draws.values
        kinds.add(draws.kind)

    def worth() -> Iterator[np.ndarray]:
        for number in range(flags.n):
            drawn = {name: next(values) for name, values in iterators.items()}
            yield drawn_worth(drawn, objective, flags, number)

    values = _Remembered(worth())
    chosen = choose_by(looked, values, 1.0, flags, min(flags.n, looked.n))
    facts = {"batch": "one draw for each variant", "draws": "; ".join(sorted(kinds)), "n_drawn": looked.n}
    among = Looked(THOMPSON, looked.n, len(open_rows))
    return _choice(rows[chosen], np.asarray(values.of(chosen)), facts, among)


class _Remembered:
    """A further draw for each choice; keeps the value of the chosen candidates."""

    def __init__(self, worth: Iterator[np.ndarray]) -> None:
        self._worth = worth
        self._last = np.zeros(0)
        self._kept: list[float] = []

    def __call__(self, chosen: list[int]) -> np.ndarray:
        if chosen:
            self._kept.append(float(self._last[chosen[-1]]))
        self._last = next(self._worth)
        return self._last

    def of(self, chosen: np.ndarray) -> list[float]:
        """Value of each chosen candidate in its draw."""
        return [*self._kept, *(float(self._last[at]) for at in chosen[len(self._kept) :])]


def _liar(
    predicted: Predicted, measured: Measured, model: FinalModel, flags: DesignFlags, worth: np.ndarray
) -> Choice | None:
    """Constant liar: after each choice the model is told the mean of the measured values as its result.

    Telling is exact conditioning of the calibrated posterior, without a new fit.

    Returns:
        None if the model has no joint uncertainty.

    Source:
        Ginsbourger, Le Riche and Carraro 2010, "Kriging is well-suited to parallelize optimization", section 4.2.
    """
    rows = joint.best_rows(worth)
    looked = predicted.candidates.take(rows)
    if (covariance := joint.covariance(model, looked)) is None:
        return None
    mean, variance = predicted.mean[rows].copy(), predicted.deviation[rows] ** 2
    noise = float(np.clip(np.median(variance - np.diag(covariance)), 1e-9 * variance.max(), None))
    lie = float(np.nanmean(measured.target))
    kept: list[float] = []
    last = worth[rows]

    def values(chosen: list[int]) -> np.ndarray:
        nonlocal last, covariance
        assert covariance is not None
        if chosen:
            at = chosen[-1]
            kept.append(float(last[at]))
            gain = covariance[:, at] / (covariance[at, at] + noise)
            mean[:] = mean + gain * (lie - mean[at])
            covariance -= np.outer(gain, covariance[at])
            deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0) + noise)
            last = acquire(mean, deviation, measured.best, flags)
        return np.asarray(last)

    chosen = choose_by(looked, values, _spread(worth), flags, min(flags.n, looked.n))
    kept += [float(last[at]) for at in chosen[len(kept) :]]
    facts = {"batch": f"constant liar: the mean of the measured values, {lie:.4g}", "n_drawn": looked.n}
    among = Looked(LIAR, looked.n, predicted.candidates.n)
    return _choice(rows[chosen], np.asarray(kept), facts, among)


def _clustered(worth: np.ndarray, flags: DesignFlags) -> np.ndarray:
    """int64: the best candidates, as many as are clustered."""
    return best_of(worth, flags)[: min(_MOST_CLUSTERED, max(10 * flags.n, POOL))]


def _by_clusters(
    candidates: Candidates, worth: np.ndarray, pool: np.ndarray, flags: DesignFlags
) -> np.ndarray:
    """The best of each of n clusters of the pool, by the mutations that they share (average linkage)."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    from proteinx_pipelines.stages.design.neighbours import distances

    looked, value = candidates.take(pool), worth[pool].astype(np.float64)
    groups = np.zeros(looked.n, np.int64)
    if looked.n > 2:
        apart = distances(looked, looked)
        tree = linkage(squareform(apart.astype(np.float64), checks=False), "average")
        groups = fcluster(tree, min(flags.n, looked.n), "maxclust")
    return np.asarray(pool[choose_by(looked, lambda _: value, _spread(worth), flags, flags.n, groups=groups)])


def _spread(worth: np.ndarray) -> float:
    finite = worth[np.isfinite(worth)]
    return float(np.std(finite)) if len(finite) else 0.0


def _n_open(worth: np.ndarray) -> int:
    """Number of candidates that may be chosen."""
    return int(np.isfinite(worth).sum())


def _choice(rows: np.ndarray, worth: np.ndarray, facts: dict[str, Any], looked: Looked) -> Choice:
    return Choice(rows, worth, np.zeros(len(rows), bool), looked, facts)


def _nothing() -> Choice:
    return _choice(np.zeros(0, np.int64), np.zeros(0), {"batch": "explored"}, Looked(EXPLORE, 0, 0))
