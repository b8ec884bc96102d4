"""A network as a `LightningModule`: own step, own optimizer, own metric.

Lightning is imported when a network is built: a node reads the flags of every message, and trains few.
"""

from typing import Any

from pydantic import BaseModel, Field


class NarrowFlags(BaseModel):
    """Flags of the network, `ext.model.*`."""

    units: int = Field(16, ge=1, le=4096)
    """Width of the hidden layer."""
    lr: float = Field(0.01, gt=0)
    """Learning rate of its own optimizer."""


def build(shape: Any, flags: NarrowFlags) -> Any:
    """One narrow layer over the whole input, trained by Adam on a smooth loss.

    Args:
        shape: `shape.width` numbers come in, one goes out.
        flags: of the network.
    """
    import lightning.pytorch as pl
    import torch
    from torch import nn

    class Narrow(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(shape.width, flags.units), nn.Tanh(), nn.Linear(flags.units, 1)
            )

        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return self.layers(vectors).squeeze(-1)

        def training_step(self, batch: Any, _batch_idx: int) -> torch.Tensor:
            vectors, targets = batch
            error = self(vectors) - targets
            self.log("train/largest_error", error.abs().max(), on_step=False, on_epoch=True)
            return nn.functional.smooth_l1_loss(self(vectors), targets)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=flags.lr)

    return Narrow()


build.Flags = NarrowFlags  # type: ignore[attr-defined]
