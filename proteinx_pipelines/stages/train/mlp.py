"""Multi-layer perceptron: `model.name=mlp`.

Layers of `model.hidden_dims` units with `model.activation` and `model.dropout`, then an output for each task. Trained
by `lightning_fit`; predictions are made on the CPU in single precision and handed on in double.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from proteinx_pipelines.stages.train.lightning_fit import fit_network
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.network_tasks import n_outputs, with_tasks
from proteinx_pipelines.stages.train.task import Fit, FitTask

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Perceptron(nn.Module):
    """float [B, D] -> float [B], or [B, T] with T outputs."""

    def __init__(
        self, width: int, hidden_dims: tuple[int, ...], activation: str, dropout: float, n_outputs: int = 1
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((width, *hidden_dims), hidden_dims, strict=False):
            layers += [nn.Linear(before, after), _ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear((width, *hidden_dims)[-1], n_outputs))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predicted values in scaled units."""
        return torch.as_tensor(self.layers(vectors)).squeeze(-1)


def build(settings: Mapping[str, Any]) -> Perceptron:
    """Build the untrained network."""
    return Perceptron(
        settings["width"], tuple(settings["hidden_dims"]), settings["activation"], settings["dropout"],
        n_outputs(settings),
    )  # fmt: skip


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        FlagError: Lightning does not accept `trainer.*`, or the checkpoint is of another network.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    model = task.flags.model
    own = {
        "width": task.embedding.width,
        "hidden_dims": list(model.hidden_dims),
        "activation": model.activation,
        "dropout": model.dropout,
    }
    settings = with_tasks(task, own)
    trained = fit_network(task, settings)
    return Fit(restore({**settings, **trained.output}, trained.weights), trained.info)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    return NetworkPredictor(build(settings), settings, tensors)
