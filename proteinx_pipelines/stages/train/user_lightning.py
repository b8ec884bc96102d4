"""A plugin's network; around its `LightningModule` one with its own step, optimizer and hooks, and our metrics.

Lightning calls the outer module; what the inner one overrides is passed on. Validation stays the package's: losses and
ranks of all validation rows from `forward`, so that early stopping and exported weights mean the same in every model.
"""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn

from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.stages.train.datamodule import Batch
from proteinx_pipelines.stages.train.job import NetworkJob
from proteinx_pipelines.stages.train.network_module import NetworkModule

HOOKS = (
    "on_fit_start", "on_fit_end", "on_train_start", "on_train_end", "on_train_epoch_start", "on_train_epoch_end",
    "on_train_batch_start", "on_train_batch_end", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_before_zero_grad", "on_validation_epoch_start", "on_validation_epoch_end",
)  # fmt: skip
"""Hooks that are passed on."""
OUR_METRICS = ("train/loss", "train/loss_step", "val/loss", "val/spearman")
"""Names that the package logs itself; what a plugin logs under them is left out."""


class UserNetwork(nn.Module):
    """A plugin's network, whose output is checked: float [B, D] -> float [B]."""

    def __init__(self, inner: nn.Module, name: str) -> None:
        super().__init__()
        self.inner = inner
        self._name = name

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predicted values in scaled units.

        Raises:
            PluginError: the network's output is not one number for each row.
        """
        found = self.inner(vectors)
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        if shape not in ((len(vectors),), (len(vectors), 1)):
            raise PluginError(
                f"The network {self._name!r} gave {shape} for {len(vectors)} rows; [{len(vectors)}] or "
                f"[{len(vectors)}, 1] is expected. Fix the plugin."
            )
        return torch.as_tensor(found).reshape(-1)


class UserLightningModule(NetworkModule):
    """Training of a plugin's `LightningModule`."""

    def __init__(self, network: UserNetwork, job: NetworkJob) -> None:
        super().__init__(network, job)
        inner = network.inner
        assert isinstance(inner, LightningModule)
        if not inner.automatic_optimization:
            raise PluginError(
                f"The network {job.model!r} steps its optimizers itself (`automatic_optimization` is False); "
                "automatic optimization is expected. Fix the plugin."
            )
        # Not a submodule a second time: its weights are those of `network`.
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(inner, "log", self._log)
        object.__setattr__(inner, "log_dict", self._log_dict)

    @property
    def inner(self) -> LightningModule:
        """The plugin's module."""
        found: LightningModule = self.__dict__["_inner"]
        return found

    def setup(self, stage: str) -> None:
        """Give the inner module its trainer."""
        self.inner.trainer = self.trainer
        self.inner.setup(stage)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The plugin's step, if it has one; the package's loss of its output else.

        Raises:
            TrainingDiverged: the loss is not finite; lower the learning rate.
            PluginError: the step gives no loss.
        """
        if not is_overridden("training_step", self.inner):
            return super().training_step(batch, batch_idx)
        given: Any = self.inner.training_step(batch, batch_idx)
        loss = given.get("loss") if isinstance(given, Mapping) else given
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise PluginError(
                "`training_step` of the plugin's network gave no loss; a tensor of one number is expected, or a "
                "dictionary with it as `loss`. Fix the plugin."
            )
        return self._reported(loss.reshape(()), len(batch[1]))

    def configure_optimizers(self) -> Any:
        """The plugin's optimizers, if it has any; those of `train.*` else."""
        if is_overridden("configure_optimizers", self.inner):
            return self.inner.configure_optimizers()
        return super().configure_optimizers()

    def _log(self, name: str, value: Any, *arguments: Any, **options: Any) -> None:
        if name not in OUR_METRICS:
            self.log(name, value, *arguments, **options)

    def _log_dict(self, values: Mapping[str, Any], *arguments: Any, **options: Any) -> None:
        own = {name: value for name, value in values.items() if name not in OUR_METRICS}
        self.log_dict(own, *arguments, **options)


def _passed_on(name: str) -> Any:
    def hook(self: UserLightningModule, *arguments: Any, **options: Any) -> Any:
        getattr(super(UserLightningModule, self), name)(*arguments, **options)
        return getattr(self.inner, name)(*arguments, **options)

    hook.__name__ = name
    hook.__doc__ = f"`{name}` of the package, then of the plugin."
    return hook


for _name in HOOKS:
    setattr(UserLightningModule, _name, _passed_on(_name))
