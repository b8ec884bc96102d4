"""Lightning module for any network: mean squared error, AdamW, and validation metrics.

The model's module defines the network; `callbacks` report the metrics.
"""

from collections.abc import Mapping

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import nn

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import TrainingDiverged
from proteinx_pipelines.stages.train.datamodule import Batch
from proteinx_pipelines.stages.train.job import NetworkJob


class NetworkModule(LightningModule):
    """A network (float [B, D] -> float [B]) under training."""

    def __init__(self, network: nn.Module, job: NetworkJob) -> None:
        super().__init__()
        self.network = network
        self.validation: Mapping[str, float] = {}
        """`val/loss` and `val/spearman` of this epoch; empty before its validation."""
        self._flags = job.flags.train
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
        """Mean squared error of one batch, in scaled units.

        Raises:
            TrainingDiverged: it is not finite; lower `train.lr`.
        """
        vectors, targets = batch
        loss = nn.functional.mse_loss(self.network(vectors), targets)
        self._check_finite("training loss", loss)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, batch_size=len(targets))
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Keep predictions: the metrics are of all rows at once."""
        vectors, targets = batch
        self._predictions.append(self.network(vectors).float().cpu())
        self._targets.append(targets.float().cpu())

    def on_validation_epoch_end(self) -> None:
        """Compute `val/loss` (mean squared error in scaled units) and `val/spearman`.

        Raises:
            TrainingDiverged: a prediction is not finite; lower `train.lr`.
        """
        if not self._predictions:
            return
        predictions, targets = torch.cat(self._predictions).double(), torch.cat(self._targets).double()
        self._predictions, self._targets = [], []
        loss = nn.functional.mse_loss(predictions, targets)
        self._check_finite("validation loss", loss)
        spearman = metrics.compute("spearman", targets.numpy(), predictions.numpy())
        found = {"val/loss": float(loss), "val/spearman": spearman}
        # Rank correlation is undefined if one side is constant; an absent value is better than NaN in a log.
        self.validation = {name: value for name, value in found.items() if np.isfinite(value)}
        self.log_dict(dict(self.validation), sync_dist=True, batch_size=len(targets))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over all weights."""
        return torch.optim.AdamW(self.parameters(), lr=self._flags.lr, weight_decay=self._flags.weight_decay)

    def _check_finite(self, what: str, loss: torch.Tensor) -> None:
        if torch.isfinite(loss):
            return
        where = f" of {self._where}" if self._where else ""
        raise TrainingDiverged(
            f"The {what}{where} became {loss.item()} in epoch {self.current_epoch}, step {self.global_step}; "
            f"a finite number is expected. Lower `train.lr` (now {self._flags.lr:g}), scale the targets with "
            "`train.target` 'standardize', or limit gradients with `trainer.gradient_clip_val`."
        )
