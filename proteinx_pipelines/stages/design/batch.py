"""Greedy choice of a batch from a ranking, with a penalty for mutations shared with earlier choices."""

import numpy as np

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design.candidates import Candidates

POOL = 40
"""Candidates considered per chosen variant."""


def choose(candidates: Candidates, worth: np.ndarray, spread: float, flags: DesignFlags) -> np.ndarray:
    """Variants to make, int64 [k <= n], in the order in which they were chosen.

    The penalty is `diversity` * `spread` * overlap. Overlap sums over the chosen variants the fraction of the
    candidate's own mutations that they share: 1 for the same residue, 1/2 for another one at the same position.

    Args:
        candidates: n variants.
        worth: float64 [n], of `acquisition.acquire`.
        spread: cost of a full overlap at `diversity` 1: the standard deviation of `worth` over the library.
        flags: `design.n`, `design.diversity`, `design.most_per_position`.
    """
    order = np.argsort(-worth, kind="stable")
    order = order[np.isfinite(worth[order])]
    if flags.diversity == 0 and flags.most_per_position is None:
        return np.asarray(order[: flags.n])
    pool = order[: max(2_000, POOL * flags.n)]
    looked, value = candidates.take(pool), worth[pool].astype(np.float64).copy()
    sizes = np.maximum(1, looked.counts)
    chosen: list[int] = []
    taken: dict[int, int] = {}
    starts = np.concatenate([[0], np.cumsum(looked.counts)])
    while len(chosen) < flags.n and np.isfinite(value).any():
        best = int(np.nanargmax(np.where(np.isfinite(value), value, -np.inf)))
        chosen.append(best)
        value[best] = -np.inf
        for at in range(starts[best], starts[best + 1]):
            position, residue = int(looked.position[at]), looked.residue[at]
            same_place = looked.position == position
            cost = np.where(looked.residue[same_place] == residue, 1.0, 0.5)
            rows = looked.row[same_place]
            value[rows] -= flags.diversity * spread * cost / sizes[rows]
            taken[position] = taken.get(position, 0) + 1
            if flags.most_per_position is not None and taken[position] >= flags.most_per_position:
                value[rows] = -np.inf
    return np.asarray(pool[np.asarray(chosen, np.int64)])


def wells(n: int, plate: int) -> list[str]:
    """Well names, row by row: `A1` to `H12` on 96 wells, `A1` to `P24` on 384; `2-A1` on the second plate."""
    columns = 12 if plate == 96 else 24
    found = []
    for number in range(n):
        which, at = divmod(number, plate)
        name = f"{chr(ord('A') + at // columns)}{at % columns + 1}"
        found.append(name if which == 0 else f"{which + 1}-{name}")
    return found
