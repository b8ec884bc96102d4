"""Training by data: `train.parts` networks, each on a part of the training rows, whose weights are averaged.

The parts exchange nothing while they train, unlike the processes of a distributed training, which average gradients at
every step. They start from the same weights and have the same validation rows, so that their mean is near all of them.

Source: McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks", with one round.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.task import Fit

LEAST_ROWS = 2
"""Fewest training rows of a part."""


def part_of(fold: Fold, part: int, n_parts: int, seed: int) -> Fold:
    """The fold with one part of its training rows, dealt at random.

    Raises:
        EmptySplit: there are too few rows for so many parts; lower `train.parts`.
    """
    if n_parts == 1:
        return fold
    n = len(fold.train)
    if n < LEAST_ROWS * n_parts:
        raise EmptySplit(
            f"`train.parts` is {n_parts}, and a fold has {n} training rows; at least {LEAST_ROWS} a part are expected. "
            f"{max(1, n // LEAST_ROWS)} or fewer parts are possible."
        )
    order = np.random.default_rng([seed, n_parts]).permutation(fold.train)
    return replace(fold, train=np.sort(order[part::n_parts]))


def averaged(model: str, fits: Sequence[Fit], sizes: Sequence[int]) -> Fit:
    """The model whose weights are the mean of those of all parts.

    Args:
        model: its name; a network.
        fits: of the parts.
        sizes: training rows of each, by which the parts count.
    """
    if len(fits) == 1:
        return fits[0]
    tensors = [fit.predictor.tensors() for fit in fits]
    share = np.asarray(sizes, np.float64) / np.sum(sizes)
    mean = {
        name: np.asarray(
            sum(part * each[name].astype(np.float64) for part, each in zip(share, tensors, strict=True)),
            dtype=first.dtype,
        )
        for name, first in tensors[0].items()
    }
    first = fits[0]
    info: dict[str, Any] = {
        **first.info,
        "parts": [{"n_train": n, **_brief(fit)} for n, fit in zip(sizes, fits, strict=True)],
    }
    return Fit(model_entry(model).load().restore(first.predictor.settings(), mean), info)


def _brief(fit: Fit) -> dict[str, Any]:
    return {
        name: fit.info[name] for name in ("epochs", "steps", "best_epoch", "ended_by") if name in fit.info
    }
