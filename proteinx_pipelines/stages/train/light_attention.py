"""Light attention over residues: `model.name=light_attention`.

Two convolutions read every residue with its surroundings. One gives values, the other, through a softmax over
positions, their weights; the weighted sum and the maximum of the values go through a small head. Reads one-hot
residues, or a language model's state of each residue. Trained by `lightning_fit` as every network here. Unlike the
authors' code, padding is left out of the maximum too, and the head has a layer norm instead of a batch norm, which
has no variance in a last batch of one variant.

Source:
    Stärk, Dallago, Heinzinger and Rost 2021, "Light attention predicts protein location from the language of
    life", doi:10.1093/bioadv/vbab035; HannesStark/protein-localization, `models/light_attention.py`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from proteinx_pipelines.stages.train.lightning_fit import fit_network
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.network_tasks import n_outputs
from proteinx_pipelines.stages.train.residue_network import residue_settings
from proteinx_pipelines.stages.train.task import Fit, FitTask

KERNEL_SIZE = 9
"""The authors' value, used if `model.kernel_size` is null."""
_HEAD = 32
"""Units of the layer behind the sum and the maximum, as in the authors' code."""


class LightAttention(nn.Module):
    """float [B, L * width] -> float [B], or [B, T] with T outputs; padding residues (all zeros) are ignored."""

    def __init__(
        self, width: int, channels: int, kernel_size: int, dropout: float, n_outputs: int = 1
    ) -> None:
        super().__init__()
        self.width = width
        self.values = nn.Conv1d(width, channels, kernel_size, padding=kernel_size // 2)
        self.attention = nn.Conv1d(width, channels, kernel_size, padding=kernel_size // 2)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(2 * channels, _HEAD), nn.Dropout(dropout), nn.ReLU(), nn.LayerNorm(_HEAD)
        )
        self.output = nn.Linear(_HEAD, n_outputs)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predicted values in scaled units."""
        residues = vectors.reshape(len(vectors), -1, self.width).transpose(1, 2)
        is_padding = ~residues.any(dim=1, keepdim=True)
        values = self.dropout(self.values(residues))
        weights = self.attention(residues).masked_fill(is_padding, -torch.inf).softmax(dim=2)
        strongest = values.masked_fill(is_padding, -torch.inf).amax(dim=2)
        seen = torch.cat([(values * weights).sum(dim=2), strongest], dim=1)
        return torch.as_tensor(self.output(self.head(seen))).squeeze(-1)


def build(settings: Mapping[str, Any]) -> LightAttention:
    """Build the untrained network."""
    return LightAttention(
        settings["width"], settings["channels"], settings["kernel_size"], settings["dropout"],
        n_outputs(settings),
    )  # fmt: skip


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        FlagError: the embedding has no residues, or Lightning does not accept `trainer.*`.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    settings = residue_settings(task, width="width", kernel_size=KERNEL_SIZE)
    trained = fit_network(task, settings)
    return Fit(restore({**settings, **trained.output}, trained.weights), trained.info)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    return NetworkPredictor(build(settings), settings, tensors)
