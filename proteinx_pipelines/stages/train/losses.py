"""Losses of networks (`train.loss`), and the function that turns a network's output into predictions.

`mse` and `huber` are in scaled units. `ranking` leaves the unit open, so a line through the training rows is fitted
afterwards; `bce` trains log-odds, and predictions are probabilities.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from proteinx_pipelines.flags.train import TrainFlags

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs [B], targets [B]) -> mean loss."""
_PAIR_ROWS = 512
"""Rows of pairs at once: all pairs of some thousand validation rows would not fit into memory."""


def loss_of(flags: TrainFlags) -> Loss:
    """The loss that `train.loss` names; with targets [B, T] the mean over all values that are there."""
    return partial(_over_tasks, _loss_of(flags))


def _over_tasks(loss: Loss, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of outputs and targets [B], or of the finite targets of [B, T], each task's by its number of them."""
    if targets.ndim == 1:
        return loss(outputs, targets)
    total, n = outputs.sum() * 0.0, 0
    for task in range(targets.shape[1]):
        known = torch.isfinite(targets[:, task])
        if count := int(known.sum()):
            total = total + count * loss(outputs[known, task], targets[known, task])
            n += count
    return total / max(1, n)


def _loss_of(flags: TrainFlags) -> Loss:
    if flags.loss == "huber":
        return lambda outputs, targets: nn.functional.huber_loss(outputs, targets, delta=flags.huber_delta)
    losses: dict[str, Loss] = {"mse": nn.functional.mse_loss, "ranking": ranking_loss, "bce": _cross_entropy}
    return losses[flags.loss]


def ranking_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean of log(1 + exp(-(difference of outputs))) over all pairs of which the first has the larger target.

    0 (with a gradient of 0) if all targets are equal.

    Source:
        Burges et al., ICML 2005 (RankNet).
    """
    total, n = outputs.sum() * 0.0, 0
    for start in range(0, len(outputs), _PAIR_ROWS):
        above = targets[start : start + _PAIR_ROWS, None] > targets[None, :]
        apart = outputs[start : start + _PAIR_ROWS, None] - outputs[None, :]
        total = total + (nn.functional.softplus(-apart) * above).sum()
        n += int(above.sum())
    return total / max(1, n)


def output_of(flags: TrainFlags, outputs: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Settings of the function from outputs to predictions; empty if they are the same.

    Args:
        flags: `train.loss`.
        outputs: float64 [n], outputs for the training rows.
        targets: float64 [n], scaled.
    """
    if flags.loss == "bce":
        return {"output": {"kind": "probability"}}
    if flags.loss != "ranking":
        return {}
    variance = float(np.var(outputs))
    slope = float(np.cov(outputs, targets, bias=True)[0, 1]) / variance if variance > 0 else 0.0
    # Least squares in the unit, never against the learned order.
    slope = max(slope, 0.0)
    return {
        "output": {"kind": "line", "slope": slope, "shift": float(targets.mean() - slope * outputs.mean())}
    }


def predictions_of(settings: Mapping[str, Any], outputs: np.ndarray) -> np.ndarray:
    """Predictions in scaled units, float64 [n], from outputs and the settings of `output_of`."""
    output = settings.get("output")
    if output is None:
        return outputs
    if output["kind"] == "probability":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * outputs)))
    return np.asarray(outputs * output["slope"] + output["shift"])


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs, targets)
