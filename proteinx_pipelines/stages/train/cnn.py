"""A convolutional network over residues, FLIP's baseline: `model.name=cnn`.

Convolution over the one-hot sequence (or a language model's state of each residue), a linear layer at every
position, the maximum over positions, one output. `model.channels` 1024 and `model.kernel_size` 5 are FLIP's; the
linear layer is twice as wide. Trained by `lightning_fit` as every network here: AdamW with one rate instead of
Adam with three.

Source:
    Dallago et al. 2021, "FLIP"; J-SNACKKB/FLIP, `baselines/models.py` (`FluorescenceModel`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.train.lightning_fit import fit_network
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.task import Fit, FitTask

KERNEL_SIZE = 5
"""FLIP's choice, where `model.kernel_size` leaves it open."""
_NO_RESIDUES = (
    "`model.name` cnn reads residues, found one vector for each variant of {!r}; choose `embedding.name` "
    "onehot, or `embedding.pooling` per_residue"
)


class Convolution(nn.Module):
    """float [B, L * letters] -> float [B]; positions that are padding, all zeros, are not looked at.

    Where all variants of a batch have the same surroundings, one variant is looked at for all of them: GB1's
    four sites reach 12 of 56 positions, so that the linear layer, nearly all of the work, is 4 times cheaper.
    """

    def __init__(self, letters: int, channels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.letters = letters
        self.convolution = nn.Conv1d(letters, channels, kernel_size, padding=kernel_size // 2)
        self.positionwise = nn.Linear(channels, 2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * channels, 1)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predicted values in scaled units."""
        residues = vectors.reshape(len(vectors), -1, self.letters)
        is_residue = residues.any(dim=-1)
        seen = torch.relu(self.convolution(residues.transpose(1, 2)).transpose(1, 2))
        varies = self._varies(residues)
        own = self._strongest(seen[:, varies], is_residue[:, varies])
        common = self._strongest(seen[:1, ~varies], is_residue[:1, ~varies])
        return torch.as_tensor(self.output(self.dropout(torch.maximum(own, common)))).squeeze(-1)

    def _varies(self, residues: torch.Tensor) -> torch.Tensor:
        """Positions at which the convolution sees a residue that not all have, bool [L]."""
        differs = (residues != residues[:1]).any(dim=2).any(dim=0).float()
        width = self.convolution.kernel_size[0]
        return nn.functional.max_pool1d(differs[None], width, 1, width // 2)[0] > 0

    def _strongest(self, seen: torch.Tensor, is_residue: torch.Tensor) -> torch.Tensor:
        """Largest value of each unit over the positions, float [B, 2 * channels]; 0 without positions."""
        wide = torch.relu(self.positionwise(seen)) * is_residue.unsqueeze(-1)
        return wide.amax(dim=1) if seen.shape[1] else wide.sum(dim=1)


def build(settings: Mapping[str, Any]) -> Convolution:
    """The untrained network."""
    return Convolution(
        settings["letters"], settings["channels"], settings["kernel_size"], settings["dropout"]
    )


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        FlagError: the embedding has no residues, or Lightning does not accept `trainer.*`.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    model = task.flags.model
    width = task.embedding.residue_width
    if width is None:
        raise FlagError([_NO_RESIDUES.format(task.embedding.info.get("name"))])
    settings = {
        "letters": width,
        "channels": model.channels,
        "kernel_size": model.kernel_size or KERNEL_SIZE,
        "dropout": model.dropout,
    }
    trained = fit_network(task, settings)
    return Fit(restore(settings, trained.weights), trained.info)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """The predictor that exported these settings and tensors."""
    return NetworkPredictor(build(settings), settings, tensors)
