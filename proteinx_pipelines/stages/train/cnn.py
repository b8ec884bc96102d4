"""Convolutional network over residues, FLIP's baseline: `model.name=cnn`.

Convolution over the one-hot sequence (or a language model's state of each residue), a linear layer at every
position, the maximum over positions, an output for each task. `model.channels` 1024 and `model.kernel_size` 5 are
FLIP's; the linear layer is twice as wide. Trained by `lightning_fit` as every network here: AdamW with one rate
instead of Adam with three.

Source:
    Dallago et al. 2021, "FLIP"; J-SNACKKB/FLIP, `baselines/models.py` (`FluorescenceModel`).
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

KERNEL_SIZE = 5
"""FLIP's value, used if `model.kernel_size` is null."""


class Convolution(nn.Module):
    """float [B, L * letters] -> float [B], or [B, T] with T outputs; padding positions (all zeros) are ignored.

    Variants of one protein share most of their windows. The linear layer, nearly all of the work, is applied once per
    batch to the windows of the most common sequence, and for each variant only to windows that differ: the same
    numbers at a fraction of the cost.
    """

    def __init__(
        self, letters: int, channels: int, kernel_size: int, dropout: float, n_outputs: int = 1
    ) -> None:
        super().__init__()
        self.letters = letters
        self.convolution = nn.Conv1d(letters, channels, kernel_size, padding=kernel_size // 2)
        self.positionwise = nn.Linear(channels, 2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * channels, n_outputs)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predicted values in scaled units."""
        residues = vectors.reshape(len(vectors), -1, self.letters)
        is_residue = residues.any(dim=-1)
        # One-hot: the majority residue, zeros where there is none. States of a language model differ everywhere.
        common = (residues.mean(dim=0, keepdim=True) > 0.5).to(residues.dtype)
        differs = self._reach((residues != common).any(dim=2))
        somewhere = differs.any(dim=0)
        seen = torch.cat([common, residues]).transpose(1, 2)
        seen = torch.relu(self.convolution(seen).transpose(1, 2))
        shared, own = self._wide(seen[0]), self._wide(seen[1:][differs])
        rows = shared[somewhere].expand(len(residues), -1, -1)
        rows = rows.index_put(differs[:, somewhere].nonzero(as_tuple=True), own)
        strongest = torch.maximum(
            _strongest(rows * is_residue[:, somewhere].unsqueeze(-1)),
            _strongest((shared[~somewhere] * is_residue[0, ~somewhere].unsqueeze(-1)).unsqueeze(0)),
        )
        return torch.as_tensor(self.output(self.dropout(strongest))).squeeze(-1)

    def _reach(self, differs: torch.Tensor) -> torch.Tensor:
        """Positions whose window contains a residue that differs, bool [B, L]."""
        width = self.convolution.kernel_size[0]
        return nn.functional.max_pool1d(differs.float(), width, 1, width // 2) > 0

    def _wide(self, seen: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.positionwise(seen))


def _strongest(wide: torch.Tensor) -> torch.Tensor:
    """Largest value over the positions, [B, L, D] to [B, D]; 0, the least there can be, without positions."""
    return wide.amax(dim=1) if wide.shape[1] else wide.sum(dim=1)


def build(settings: Mapping[str, Any]) -> Convolution:
    """Build the untrained network."""
    return Convolution(
        settings["letters"], settings["channels"], settings["kernel_size"], settings["dropout"],
        n_outputs(settings),
    )  # fmt: skip


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        FlagError: the embedding has no residues, or Lightning does not accept `trainer.*`.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    settings = residue_settings(task, width="letters", kernel_size=KERNEL_SIZE)
    trained = fit_network(task, settings)
    return Fit(restore({**settings, **trained.output}, trained.weights), trained.info)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    return NetworkPredictor(build(settings), settings, tensors)
