"""Predictor of a trained network: any `nn.Module` of float [B, D] -> float [B], or [B, T] with the target first."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.losses import predictions_of
from proteinx_pipelines.stages.train.network_tasks import of_target

_BATCH_ROWS = 1024
_BATCH_NUMBERS = 1 << 21
"""Most numbers in a batch: activations of a network over 448 residues are a hundred times as many, some gigabytes."""


def rows_at_once(embedding: Embedding) -> int:
    """Number of rows that a network predicts in one batch."""
    return max(1, min(_BATCH_ROWS, _BATCH_NUMBERS // embedding.width))


class NetworkPredictor:
    """A network with its weights, on the CPU."""

    def __init__(
        self, network: nn.Module, settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> None:
        """Load weights into a network.

        Args:
            network: result of the model's `build(settings)`.
            settings: settings it was built from.
            tensors: float32 weights by their names in the network.

        Raises:
            ValueError: the weights are not those of such a network.
        """
        self._settings = dict(settings)
        self._network = network.eval()
        try:
            network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in tensors.items()})
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit the network: {error}") from error

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        found, step = [np.empty(0)], rows_at_once(embedding)
        with torch.inference_mode():
            for start in range(0, len(rows), step):
                vectors = torch.from_numpy(embedding.dense(rows[start : start + step]))
                found.append(of_target(self._network(vectors)).double().numpy())
        return predictions_of(self._settings, np.concatenate(found))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> None:
        """None: one network has no uncertainty."""

    def settings(self) -> dict[str, Any]:
        """Settings from which the network is built."""
        return dict(self._settings)

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights by name, float32."""
        return {name: value.detach().numpy() for name, value in self._network.state_dict().items()}
