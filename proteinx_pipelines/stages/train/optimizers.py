"""Optimizers and learning rates of networks: `train.optimizer`, `train.scheduler`, `train.warmup_steps`."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from proteinx_pipelines.flags.train import TrainFlags

PLATEAU_FACTOR, PLATEAU_EPOCHS = 0.5, 3
"""Factor of the learning rate after this many epochs without a better validation loss."""


def optimizer_of(flags: TrainFlags, parameters: Iterable[Any]) -> torch.optim.Optimizer:
    """The optimizer that `train.optimizer` names, over parameters or groups of them."""
    lr, decay = flags.lr, flags.weight_decay
    if flags.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=flags.momentum, weight_decay=decay)
    if flags.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=lr, momentum=flags.momentum, weight_decay=decay)
    return (torch.optim.Adam if flags.optimizer == "adam" else torch.optim.AdamW)(
        parameters, lr=lr, weight_decay=decay
    )


def scheduler_of(flags: TrainFlags, optimizer: torch.optim.Optimizer, n_steps: int) -> dict[str, Any] | None:
    """Lightning's description of the scheduler; None for a constant rate.

    Args:
        flags: `train.scheduler`, `train.warmup_steps`.
        optimizer: whose rates are changed.
        n_steps: optimizer steps of the whole training.
    """
    if flags.scheduler == "plateau":
        plateau = ReduceLROnPlateau(optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_EPOCHS - 1)
        # Not strict: limits of the Trainer may leave an epoch without a validation.
        return {"scheduler": plateau, "interval": "epoch", "monitor": "val/loss", "strict": False}
    if flags.scheduler == "none" and not flags.warmup_steps:
        return None
    return {"scheduler": LambdaLR(optimizer, rate_of(flags, n_steps)), "interval": "step"}


def rate_of(flags: TrainFlags, n_steps: int) -> Callable[[int], float]:
    """Step (from 0) -> factor of the learning rate, 0 to 1."""
    warmup = flags.warmup_steps

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, n_steps - warmup))
        if flags.scheduler == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        return 1.0 - done if flags.scheduler == "linear" else 1.0

    return factor


def steps_of_training(trainer: Any, n_rows: int, batch_size: int) -> int:
    """Optimizer steps of a training, computed without its data loader: making that early would disturb a continued one.

    Args:
        trainer: Lightning's, with its limits.
        n_rows: training rows.
        batch_size: `train.batch_size`, over all processes.
    """
    own_rows = -(-n_rows // trainer.world_size)
    batches = -(-own_rows // max(1, batch_size // trainer.world_size))
    for limit in (trainer.limit_train_batches, trainer.overfit_batches):
        if isinstance(limit, float) and 0.0 < limit < 1.0:
            batches = max(1, int(batches * limit))
        elif isinstance(limit, int) and limit > 0:
            batches = min(batches, limit)
    steps = -(-batches // trainer.accumulate_grad_batches) * max(1, trainer.max_epochs or 1)
    return int(min(steps, trainer.max_steps) if trainer.max_steps not in (-1, None) else steps)
