"""A model in the form of scikit-learn, with a deviation, exported as numbers."""

from typing import Any

import numpy as np
from pydantic import BaseModel, Field


class ColumnMeanFlags(BaseModel):
    """Flags of the model, `ext.model.*`; a node checks them when a message arrives."""

    shrink: float = Field(1.0, ge=0)
    """Rows of the overall mean that are added to every column's."""


class ColumnMean:
    """Mean target of the training rows in which a column is on, averaged over a variant's columns."""

    Flags = ColumnMeanFlags

    def __init__(self, shrink: float = 1.0) -> None:
        self.shrink = shrink

    def fit(self, vectors: np.ndarray, targets: np.ndarray) -> "ColumnMean":
        """Learn from float32 [n, D] and float64 [n]."""
        on = vectors > 0
        self.mean = float(targets.mean())
        self.columns = (targets @ on + self.shrink * self.mean) / (on.sum(axis=0) + self.shrink + 1e-9)
        self.deviation = float(np.std(targets - self.predict(vectors)))
        return self

    def predict(self, vectors: np.ndarray, return_std: bool = False) -> Any:
        """Values, float64 [n]; with `return_std` also their standard deviations."""
        on = (vectors > 0).astype(np.float64)
        values = (on @ (self.columns - self.mean)) / np.sqrt(np.maximum(1.0, on.sum(axis=1))) + self.mean
        if not return_std:
            return values
        return values, np.full(len(values), getattr(self, "deviation", 1.0))

    def export(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings (plain JSON) and numbers of the fitted model: all that `restore` needs, and no pickle."""
        settings = {"shrink": self.shrink, "mean": self.mean, "deviation": self.deviation}
        return settings, {"columns": self.columns}

    @classmethod
    def restore(cls, settings: dict[str, Any], tensors: dict[str, np.ndarray]) -> "ColumnMean":
        """The fitted model from what `export` gave."""
        model = cls(settings["shrink"])
        model.mean, model.deviation = settings["mean"], settings["deviation"]
        model.columns = tensors["columns"]
        return model
