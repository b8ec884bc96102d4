"""Lightning module for any network: loss, optimizer and learning rate by `train.*`, and validation metrics.

The model's module defines the network; `callbacks` report the metrics.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import nn

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import TrainingDiverged
from proteinx_pipelines.stages.train.datamodule import Batch
from proteinx_pipelines.stages.train.job import NetworkJob
from proteinx_pipelines.stages.train.losses import loss_of, output_of, predictions_of
from proteinx_pipelines.stages.train.network_tasks import of_target
from proteinx_pipelines.stages.train.optimizers import optimizer_of, scheduler_of, steps_of_training
from proteinx_pipelines.stages.train.sharded import norm_of_all


class NetworkModule(LightningModule):
    """A network (float [B, D] -> float [B], or [B, T] with several tasks) under training."""

    def __init__(self, network: nn.Module, job: NetworkJob) -> None:
        super().__init__()
        self.network = network
        self.validation: Mapping[str, float] = {}
        """`val/loss`, `val/spearman` and `train.metrics` of this epoch; empty before its validation."""
        self.step_metrics: dict[str, float] = {}
        """`train/lr` and `train/grad_norm` of the newest step that samples are taken of."""
        self._flags = job.flags.train
        self._loss = loss_of(job.flags.train)
        self._n_rows = len(job.train.rows)
        self._seed = job.seed
        self._where = job.where
        self._predictions: list[torch.Tensor] = []
        self._targets: list[torch.Tensor] = []

    def on_train_epoch_start(self) -> None:
        """Seed dropout by epoch and process, so that a continued training draws the same numbers."""
        self.validation = {}
        state = np.random.SeedSequence([self._seed, self.current_epoch, self.global_rank]).generate_state(
            1, np.uint64
        )
        torch.manual_seed(int(state[0] >> np.uint64(1)))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002  # Lightning's signature
        """Loss of one batch, in scaled units.

        Raises:
            TrainingDiverged: it is not finite; lower `train.lr`.
        """
        vectors, targets = batch
        return self._reported(self._loss(self.network(vectors), targets), len(targets))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Learning rate and norm of the gradient, at the steps that `train.log_every_n_steps` samples."""
        if (self.global_step + 1) % self._flags.log_every_n_steps:
            return
        norms = [
            parameter.grad.detach().float().norm()
            for parameter in self.parameters()
            if parameter.grad is not None
        ]
        self.step_metrics = {"train/lr": float(optimizer.param_groups[0]["lr"])}
        own = torch.stack([torch.zeros(()), *(each.cpu() for each in norms)]).norm()
        norm = float(norm_of_all(self, own))
        if np.isfinite(norm):
            self.step_metrics["train/grad_norm"] = norm
        self.log_dict(dict(self.step_metrics), on_step=True, on_epoch=False)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Keep predictions: the metrics are of all rows at once."""
        vectors, targets = batch
        self._predictions.append(of_target(self.network(vectors)).float().cpu())
        self._targets.append(targets.float().cpu())

    def on_validation_epoch_end(self) -> None:
        """Compute `val/loss` (in scaled units), `val/spearman` and the metrics of `train.metrics`.

        Raises:
            TrainingDiverged: a prediction is not finite; lower `train.lr`.
        """
        if not self._predictions:
            return
        predictions, targets = torch.cat(self._predictions).double(), torch.cat(self._targets).double()
        self._predictions, self._targets = [], []
        loss = self._loss(predictions, targets)
        self._check_finite("validation loss", loss)
        outputs = predictions_of(
            output_of(self._flags, predictions.numpy(), targets.numpy()), predictions.numpy()
        )
        names = dict.fromkeys(("spearman", *self._flags.metrics))
        found = {f"val/{name}": metrics.compute(name, targets.numpy(), outputs) for name in names}
        found = {"val/loss": float(loss), **found}
        # Rank correlation is undefined if one side is constant; an absent value is better than NaN in a log.
        self.validation = {name: value for name, value in found.items() if np.isfinite(value)}
        self.log_dict(dict(self.validation), sync_dist=True, batch_size=len(targets))

    def configure_optimizers(self) -> Any:
        """Optimizer over all weights that are trained, and what changes its learning rate."""
        optimizer = optimizer_of(self._flags, [each for each in self.parameters() if each.requires_grad])
        n_steps = steps_of_training(self.trainer, self._n_rows, self._flags.batch_size)
        scheduler = scheduler_of(self._flags, optimizer, n_steps)
        return optimizer if scheduler is None else {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _reported(self, loss: torch.Tensor, n: int) -> torch.Tensor:
        """Check the loss of a batch of n rows, and log it."""
        self._check_finite("training loss", loss)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, batch_size=n)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=n)
        return loss

    def _check_finite(self, what: str, loss: torch.Tensor) -> None:
        if torch.isfinite(loss):
            return
        where = f" of {self._where}" if self._where else ""
        raise TrainingDiverged(
            f"The {what}{where} became {loss.item()} in epoch {self.current_epoch}, step {self.global_step}; "
            f"a finite number is expected. Lower `train.lr` (now {self._flags.lr:g}), scale the targets with "
            "`train.target` 'standardize', or limit gradients with `trainer.gradient_clip_val`."
        )
