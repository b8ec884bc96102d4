"""Sequential choice of a batch: the best candidate each time, with penalties by what was chosen before."""

from collections.abc import Callable

import numpy as np

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design.candidates import Candidates

POOL = 40
"""Candidates considered per chosen variant."""
Values = Callable[[list[int]], np.ndarray]
"""Value of each candidate, float64 [m], higher is better, given the candidates chosen so far."""


def choose(candidates: Candidates, worth: np.ndarray, spread: float, flags: DesignFlags) -> np.ndarray:
    """Variants to make, int64 [k <= n], in the order in which they were chosen; the worth does not change meanwhile.

    Args:
        candidates: n variants.
        worth: float64 [n], of `acquisition.acquire`.
        spread: cost of a full overlap at `diversity` 1: the standard deviation of `worth` over the library.
        flags: `design.n`, `design.diversity`, `design.most_per_position`.
    """
    pool = best_of(worth, flags)
    if flags.diversity == 0 and flags.most_per_position is None:
        return pool[: flags.n]
    value = worth[pool].astype(np.float64)
    return np.asarray(pool[choose_by(candidates.take(pool), lambda _: value, spread, flags, flags.n)])


def best_of(worth: np.ndarray, flags: DesignFlags) -> np.ndarray:
    """int64 [p]: the best candidates, best first, as many as a batch is chosen from."""
    order = np.argsort(-worth, kind="stable")
    return np.asarray(order[np.isfinite(worth[order])][: pool_size(flags)])


def pool_size(flags: DesignFlags) -> int:
    """Most candidates that a batch is chosen from."""
    return max(2_000, POOL * flags.n)


def choose_by(
    looked: Candidates, values: Values, spread: float, flags: DesignFlags, n: int,
    *, before: Candidates | None = None, groups: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Choose up to n of the candidates, int64 [k], in the order in which they were chosen.

    The penalty is `diversity` * `spread` * overlap. Overlap sums over the chosen variants the fraction of the
    candidate's own mutations that they share: 1 for the same residue, 1/2 for another one at the same position.

    Args:
        looked: m candidates.
        values: called before each choice.
        spread: cost of a full overlap at `diversity` 1.
        flags: `design.diversity`, `design.most_per_position`.
        n: number to choose.
        before: variants chosen earlier: their mutations count, and they are not chosen again.
        groups: int64 [m]; of each group at most one is chosen until every group has one.
    """
    cost = _Costs(looked, spread, flags)
    if before is not None:
        cost.add(before)
    chosen: list[int] = []
    open_groups = np.ones(looked.n, bool)
    while len(chosen) < n:
        value = np.where(np.isfinite(cost.total), values(chosen) - cost.total, -np.inf)
        if groups is not None:
            if not np.isfinite(value[open_groups]).any():
                open_groups[:] = True
            value = np.where(open_groups, value, -np.inf)
        best = int(np.argmax(np.where(np.isnan(value), -np.inf, value)))
        if not np.isfinite(value[best]):
            break
        chosen.append(best)
        cost.add(looked.take(np.array([best])))
        cost.total[best] = np.inf
        if groups is not None:
            open_groups[groups == groups[best]] = False
    return np.asarray(chosen, np.int64)


class _Costs:
    """Penalty of each candidate, infinite where it is ruled out."""

    def __init__(self, looked: Candidates, spread: float, flags: DesignFlags) -> None:
        self._looked, self._scale, self._most = looked, flags.diversity * spread, flags.most_per_position
        self._sizes = np.maximum(1, looked.counts)
        self._taken: dict[int, int] = {}
        self.total = np.zeros(looked.n)

    def add(self, variants: Candidates) -> None:
        """Count the mutations of chosen variants."""
        if self._scale == 0 and self._most is None:
            return
        for position, residue in zip(variants.position.tolist(), variants.residue.tolist(), strict=True):
            same_place = np.flatnonzero(self._looked.position == position)
            share = np.where(self._looked.residue[same_place] == residue, 1.0, 0.5)
            rows = self._looked.row[same_place]
            self.total[rows] += self._scale * share / self._sizes[rows]
            self._taken[position] = self._taken.get(position, 0) + 1
            if self._most is not None and self._taken[position] >= self._most:
                self.total[rows] = np.inf


def wells(n: int, plate: int) -> list[str]:
    """Well names, row by row: `A1` to `H12` on 96 wells, `A1` to `P24` on 384; `2-A1` on the second plate."""
    columns = 12 if plate == 96 else 24
    found = []
    for number in range(n):
        which, at = divmod(number, plate)
        name = f"{chr(ord('A') + at // columns)}{at % columns + 1}"
        found.append(name if which == 0 else f"{which + 1}-{name}")
    return found
