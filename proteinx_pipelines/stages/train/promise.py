"""Training rows left out as the split leaves out its test rows: singly, by position or by stretch of the sequence.

What the split asks is decided in `positions`; this module makes the groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.positions import FAR, Asked
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.task import FitTask

FOLDS = 5
"""Groups into which judged rows are put."""
_MOST_STRETCHES = 20
_CLEAR, _CLEAR_OF_VARIANTS = 2.0, 1.0
"""Standard errors, over blocks, by which evidence must lower the squared error: at new positions, at known ones."""


@dataclass(frozen=True)
class Promise:
    """What test rows are to the training rows."""

    name: Asked

    @property
    def by_position(self) -> bool:
        """True if test positions are not among those of the training rows."""
        return self.name != "variants"

    def positions(self, rows: MutationList) -> np.ndarray:
        """int64 [n]: number of the position of each row (of its first mutation; 0 for the template itself)."""
        first = _first_sites(rows)
        return np.unique(first, return_inverse=True)[1]

    def blocks(self, rows: MutationList) -> np.ndarray:
        """int64 [n]: block of each row that is left out whole when evidence is judged.

        Single rows, positions, or stretches of at least three positions, twenty or fewer of them.
        """
        if not self.by_position:
            return np.arange(rows.n_rows)
        number = self.positions(rows)
        if self.name == "positions":
            return number
        count = int(number.max(initial=0)) + 1
        return np.asarray(number * max(1, min(_MOST_STRETCHES, count // FAR)) // count)

    def groups(self, rows: MutationList) -> np.ndarray:
        """int64 [n]: group of each row when some are left out, made like the split's folds."""
        if not self.by_position:
            return np.arange(rows.n_rows) % FOLDS
        number = self.positions(rows)
        if self.name == "positions":
            return np.asarray(number % FOLDS)
        return np.asarray(number * FOLDS // max(1, int(number.max(initial=0)) + 1))


def promise_of(task: FitTask) -> Promise:
    """What the split of the task asks."""
    split = task.flags.split
    return Promise(task.sites.asked(task.fold, split.method, split.held_out))


def clearly_better(
    squared: Mapping[tuple[str, ...], np.ndarray], blocks: np.ndarray, promise: Promise
) -> tuple[str, ...]:
    """The kinds of evidence of the smallest error among those that beat going without by more than chance would.

    Args:
        squared: kinds -> squared error of each left-out row, float64 [n]; the empty kinds are going without.
        blocks: int64 [n], position or stretch of each row: their errors are not independent within it.
        promise: new positions ask for a clearer gain, since a mistake costs more there.
    """
    standard_errors = _CLEAR if promise.by_position else _CLEAR_OF_VARIANTS
    without = squared[()]
    clear: list[tuple[str, ...]] = [()]
    for kinds, errors in squared.items():
        gain = np.bincount(blocks, weights=without - errors)
        chance = standard_errors * float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        if kinds and gain.mean() > chance:
            clear.append(kinds)
    return min(clear, key=lambda kinds: float(squared[kinds].sum()))


def _keys(rows: MutationList) -> np.ndarray:
    return np.asarray((rows.template << 24) + rows.position)


def _first_sites(rows: MutationList) -> np.ndarray:
    """int64 [n]: key of each row's first mutation, -1 for none."""
    first = np.full(rows.n_rows, -1, np.int64)
    at, index = np.unique(rows.row, return_index=True)
    first[at] = _keys(rows)[index]
    return first
