"""Lightning callbacks: reports, best weights, early stopping, checkpoints.

The order matters: Lightning calls `Journal` and `BestWeights` first, then `Patience`, then `Checkpoints`, so that a
checkpoint holds the state of all of them at the end of its epoch.
"""

# ruff: noqa: ARG002  # the hooks have Lightning's signatures

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import nn

from proteinx_pipelines.domain.histograms import histogram
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.network_module import NetworkModule
from proteinx_pipelines.stages.train.resume import LAST_CHECKPOINT
from proteinx_pipelines.stages.train.sharded import current_weights

_HISTOGRAM_BINS = 30


class Journal(Callback):
    """Reports progress, metrics and weights to the monitor, and records the learning curve."""

    def __init__(self, monitor: StageMonitor, flags: TrainFlags) -> None:
        self.curve: list[dict[str, float]] = []
        """One entry per epoch: `epoch`, `step`, `train/loss`, and after a validation `val/...`."""
        self._monitor = monitor
        self._flags = flags
        self._sampled_step = -1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report progress, and every `train.log_every_n_steps` the loss of the step."""
        if not trainer.is_global_zero:
            return
        done = trainer.current_epoch + (batch_idx + 1) / max(1, trainer.num_training_batches)
        self._progress(trainer, done)
        step = trainer.global_step
        if step % self._flags.log_every_n_steps == 0 and step != self._sampled_step:
            self._sampled_step = step
            loss = float(outputs["loss"])
            assert isinstance(pl_module, NetworkModule)
            for name, value in {"train/loss_step": loss, **pl_module.step_metrics}.items():
                self._monitor.metric(name, value, step=step, epoch=trainer.current_epoch)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Report progress: a long validation must be stoppable too."""
        if trainer.is_global_zero:
            self._progress(trainer, trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch's metrics and, at intervals, histograms of the weights."""
        epoch, step = trainer.current_epoch, trainer.global_step
        found = {"train/loss": float(trainer.callback_metrics["train/loss"]), **_validation(pl_module)}
        found |= _others(trainer, found)
        self.curve.append({"epoch": epoch, "step": step, **found})
        every = self._flags.histogram_every_n_epochs
        weights = current_weights(pl_module) if every and (epoch + 1) % every == 0 else {}
        if not trainer.is_global_zero:
            return
        for name, value in found.items():
            self._monitor.metric(name, value, step=step, epoch=epoch)
        learned = [name for name, _ in _network(pl_module).named_parameters()]
        self._histograms({name: weights[name] for name in learned if name in weights}, step)
        self._monitor.event("epoch_finished", epoch=epoch, **found)

    def state_dict(self) -> dict[str, Any]:
        """Learning curve, stored in the checkpoint."""
        return {"curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the curve."""
        self.curve = list(state_dict["curve"])

    def _progress(self, trainer: Trainer, done: float) -> None:
        n_epochs = self._flags.max_epochs
        self._monitor.progress(done, n_epochs, f"epoch {trainer.current_epoch + 1}/{n_epochs}")

    def _histograms(self, weights: Mapping[str, torch.Tensor], step: int) -> None:
        for name, weight in weights.items():
            values = weight.numpy()
            if not np.isfinite(values).all():
                continue  # the check of the loss reports it one step later
            counts, edges = histogram(values, _HISTOGRAM_BINS)
            self._monitor.histogram(f"weights/{name}", counts.tolist(), edges.tolist(), step=step)


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest validation loss; they are what is exported.

    They are part of every checkpoint, so that a continued training has them even if other checkpoint files are
    lost.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None
        """Epoch of the best weights; None before the first validation."""
        self.weights: dict[str, torch.Tensor] = {}
        self._loss = float("inf")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the weights if this epoch's validation is the best so far."""
        # The first rank's, so that all gather the weights of the same epochs: each may have validated its own rows.
        loss = trainer.strategy.broadcast(_validation(pl_module).get("val/loss"))
        if loss is not None and loss < self._loss:
            self._loss, self.epoch = loss, trainer.current_epoch
            self.weights = current_weights(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Weights, epoch and loss."""
        return {"epoch": self.epoch, "loss": self._loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them from a checkpoint."""
        self.epoch, self._loss = state_dict["epoch"], state_dict["loss"]
        self.weights = dict(state_dict["weights"])


class TrainedRows(Callback):
    """Records in every checkpoint a digest of its training rows; `lightning_fit` compares it before continuing."""

    def __init__(self, rows_sha256: str) -> None:
        self._rows_sha256 = rows_sha256

    def state_dict(self) -> dict[str, Any]:
        """The digest of `NetworkJob.rows_sha256`."""
        return {"rows_sha256": self._rows_sha256}

    @classmethod
    def stored(cls, checkpoint: Mapping[str, Any]) -> str | None:
        """Digest in a checkpoint; None in an old checkpoint without one."""
        states = checkpoint.get("callbacks")
        mine = states.get(cls.__qualname__) if isinstance(states, Mapping) else None
        return mine.get("rows_sha256") if isinstance(mine, Mapping) else None


class Patience(EarlyStopping):
    """Early stopping that survives a checkpoint: the current flag sets the patience, and stopped stays stopped."""

    def __init__(self, patience: int) -> None:
        # Not strict: limits of the Trainer may end training before its first validation, which is not an error.
        # At the end of every epoch, whether or not it was validated: patience is counted in epochs, and between two
        # validations the loss does not improve.
        super().__init__(
            monitor="val/loss", mode="min", patience=patience, strict=False, check_on_train_epoch_end=True
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count, but not the patience, which is a flag of this experiment."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once if already stopped: Lightning would train one more epoch first."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class Checkpoints(Checkpoint):
    """Writes `last.ckpt` and keeps the best others: lowest validation loss, or newest without one."""

    def __init__(self, folder: Path, flags: TrainFlags) -> None:
        self._folder = folder
        self._flags = flags
        self._kept: dict[str, list[float]] = {}  # file name -> [loss, -epoch], the lower the better
        self._saved_step = -1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save every `train.save_every_n_epochs` epochs."""
        if (trainer.current_epoch + 1) % self._flags.save_every_n_epochs == 0:
            self._save(trainer, pl_module, trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last epoch if it was not saved on schedule."""
        if trainer.global_step != self._saved_step:
            self._save(trainer, pl_module, trainer.current_epoch - 1)

    def state_dict(self) -> dict[str, Any]:
        """Kept files and their scores."""
        return {"kept": self._kept, "saved_step": self._saved_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the kept files that lie in this experiment's folder."""
        kept = state_dict["kept"].items()
        self._kept = {name: list(score) for name, score in kept if (self._folder / name).is_file()}
        self._saved_step = int(state_dict["saved_step"])

    def _save(self, trainer: Any, module: LightningModule, epoch: int) -> None:
        if trainer.fast_dev_run:
            return
        self._saved_step = trainer.global_step
        name = f"epoch{epoch:04d}.ckpt"
        found = {**self._kept, name: [_validation(module).get("val/loss", float("inf")), -epoch]}
        # As the first rank says: another machine has not its files, so it would keep others, and ranks that save
        # different checkpoints wait for one another without end.
        self._kept = trainer.strategy.broadcast(found)
        ranking = sorted(self._kept, key=lambda kept: self._kept[kept])
        dropped = ranking[self._flags.keep_checkpoints :]
        for worse in dropped:
            del self._kept[worse]
        if name not in dropped:
            trainer.save_checkpoint(self._folder / name)
        trainer.save_checkpoint(self._folder / LAST_CHECKPOINT)
        for worse in dropped:  # last: a crash in between leaves a file too many, never one too few
            trainer.strategy.remove_checkpoint(self._folder / worse)


class AveragedWeights(Callback):
    """Stochastic weight averaging: the mean of the weights after each of the last epochs, which is exported.

    Lightning's own callback trains one epoch more for batch normalisation, and averages on the device; here statistics
    of batch normalisation are averaged as weights are, and a continued training has the same mean.

    Source:
        Izmailov et al., UAI 2018.
    """

    def __init__(self, flags: TrainFlags) -> None:
        self._first = int(flags.swa_start * flags.max_epochs)
        self.n = 0
        """Number of averaged epochs."""
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's weights."""
        if trainer.current_epoch < self._first:
            return
        self.n += 1
        for name, value in current_weights(pl_module).items():
            mean = self.weights.get(name, value)
            self.weights[name] = mean + (value - mean) / self.n

    def state_dict(self) -> dict[str, Any]:
        """Mean and number of epochs."""
        return {"n": self.n, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them from a checkpoint."""
        self.n, self.weights = int(state_dict["n"]), dict(state_dict["weights"])


def _others(trainer: Trainer, found: Mapping[str, float]) -> dict[str, float]:
    """Finite metrics that a plugin's network logged for the epoch."""
    logged = {name: float(value) for name, value in trainer.logged_metrics.items() if name not in found}
    per_step = ("train/loss_step", "train/lr", "train/grad_norm")
    return {
        name: value
        for name, value in logged.items()
        if np.isfinite(value) and name not in per_step and name != "epoch" and not name.startswith("lr-")
    }


def _network(module: LightningModule) -> nn.Module:
    assert isinstance(module, NetworkModule)
    return module.network


def _validation(module: LightningModule) -> Mapping[str, float]:
    assert isinstance(module, NetworkModule)
    return module.validation
