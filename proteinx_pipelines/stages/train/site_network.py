"""A small residual network of features, as plain arrays: no training code is needed to predict with it.

    h = silu(x A + a);  h = h + silu(h B + b);  value = h c + x d + e

x are features with mean 0 and deviation 1, cut at `MOST` deviations. `known_positions_learning` trains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

WIDTH = 64
"""Units of a layer."""
MOST = 4.0
"""Largest size of a feature, in deviations: what was never seen in training is no reason for extremes."""


def shapes(n_features: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a network, by name, in the order in which they lie side by side."""
    return {
        "mean": (n_features,), "scale": (n_features,), "first": (n_features, WIDTH), "first_bias": (WIDTH,),
        "second": (WIDTH, WIDTH), "second_bias": (WIDTH,), "last": (WIDTH,), "straight": (n_features,), "bias": (1,),
    }  # fmt: skip


def n_weights(n_features: int) -> int:
    """Numbers of a network."""
    return int(sum(np.prod(shape) for shape in shapes(n_features).values()))


@dataclass(frozen=True)
class SiteNetwork:
    """Arrays by the names of `shapes`, float32."""

    arrays: Mapping[str, np.ndarray]

    @classmethod
    def of_line(cls, line: np.ndarray, n_features: int) -> "SiteNetwork":
        """The network whose arrays lie side by side in a line of `n_weights` numbers."""
        found, start = {}, 0
        for name, shape in shapes(n_features).items():
            size = int(np.prod(shape))
            found[name] = line[start : start + size].astype(np.float32).reshape(shape)
            start += size
        return cls(found)

    def line(self) -> np.ndarray:
        """All arrays side by side, float32."""
        return np.concatenate([self.arrays[name].ravel() for name in self.arrays])

    def values(self, features: np.ndarray) -> np.ndarray:
        """Predicted values, float32 [m], of features, float32 [m, c]."""
        given = self.arrays
        x = standardised(features, given["mean"], given["scale"])
        hidden = silu(x @ given["first"] + given["first_bias"])
        hidden += silu(hidden @ given["second"] + given["second_bias"])
        return np.asarray(hidden @ given["last"] + x @ given["straight"] + given["bias"])


def standardised(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float32 [m, c]: features in deviations, cut at `MOST`."""
    return np.asarray(np.clip((features - mean) / scale, -MOST, MOST), np.float32)


def silu(values: np.ndarray) -> np.ndarray:
    """Values over 1 + exp(-values), elementwise (Elfwing, Uchibe and Doya 2018)."""
    return np.asarray(values / (1.0 + np.exp(-np.maximum(values, -80.0))))
