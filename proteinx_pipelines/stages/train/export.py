"""Exported models on disk: `model.json` describes the model, `model.safetensors` holds the numbers. No pickle.

Written by `train.train_models`, one folder per fold; read by the evaluate stage and `open_experiment`. A folder
contains all that a prediction needs.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.errors import CorruptArtifact, InputError, MissingArtifact
from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.experiment_dir.files import write_bytes, write_json
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.ensemble import EnsemblePredictor, Member, restore
from proteinx_pipelines.stages.train.ordinal import ClassMap, mean_class_map, read_class_map
from proteinx_pipelines.stages.train.registry import MODELS, find_model
from proteinx_pipelines.stages.train.targets import TargetScaling, read_scaling
from proteinx_pipelines.stages.train.task import (
    BoundsDeviation,
    JointPredictor,
    Predictor,
    PredictsBoth,
    TypicalPredictor,
)

SETTINGS_FILE = "model.json"
TENSORS_FILE = "model.safetensors"
MODEL_FILES = (SETTINGS_FILE, TENSORS_FILE)
_FORMAT = 1
_REMEDY = "Run the train stage again."
_IDENTITY = ("name", "layer", "pooling", "weights_sha256")
"""Entries of an embedding's info that must be equal for a model to be applied to it."""


@dataclass(frozen=True)
class FittedModel:
    """A trained model with all it needs to predict from an embedding of its kind."""

    name: str
    predictor: Predictor
    scaling: TargetScaling
    embedding: dict[str, Any]
    """Kind of the training embedding: `name`, `width`, `alphabet` (null for vectors) and the identifying entries."""
    classes: ClassMap | None = None
    """Map from predictions to class probabilities, if the targets are classes (`transform.bins`)."""

    def predict(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted targets of the rows (int64 [n]), float64 [n], in the unit of `target`.

        With `train.target` 'rank' the result is in normal scores of ranks instead: see `scaling`.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        self._check(embedding)
        return self.scaling.unscale(self.predictor.mean(embedding, np.asarray(rows)))

    def predict_deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Standard deviation of each prediction, float64 [n], same unit; None if the model has none.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        self._check(embedding)
        deviation = self.predictor.deviation(embedding, np.asarray(rows))
        return None if deviation is None else deviation * self.scaling.deviation

    def predict_probabilities(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Probability that each row is at or above each of K thresholds, float64 [n, K]; None for a model of scores.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        if self.classes is None:
            return None
        return self.classes.probabilities(self.predict(embedding, rows))

    def predict_both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """`predict` and `predict_deviation` in one pass.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        if not isinstance(self.predictor, PredictsBoth):
            return self.predict(embedding, rows), self.predict_deviation(embedding, rows)
        self._check(embedding)
        mean, deviation = self.predictor.both(embedding, np.asarray(rows))
        scaled = None if deviation is None else deviation * self.scaling.deviation
        return self.scaling.unscale(mean), scaled

    def typical_deviation(self) -> float | None:
        """Mean deviation of a training row's measurement when the row is left out, in the target's unit.

        Returns:
            None if the model does not know it.
        """
        known = self.predictor.typical_deviation() if isinstance(self.predictor, TypicalPredictor) else None
        return None if known is None else known * self.scaling.deviation

    def members(self) -> list["FittedModel"]:
        """Members of an ensemble as models of their own; none for a single model."""
        if not isinstance(self.predictor, EnsemblePredictor):
            return []
        # Members of one fold share the model's scaling; those of several folds have their own, and the model none.
        return [
            replace(
                self,
                predictor=member.predictor,
                scaling=self.scaling if member.scaling.method == "none" else member.scaling,
            )
            for member in self.predictor.members
        ]

    @property
    def joint(self) -> JointPredictor | None:
        """The predictor if it knows how its errors go together."""
        found = self.predictor
        return found if isinstance(found, JointPredictor) and found.is_joint else None

    def predict_covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Covariance of the predicted function, without noise, float64 [n, n], in the target's unit squared.

        Returns:
            None if the model has no covariance.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        self._check(embedding)
        if (predictor := self.joint) is None:
            return None
        return predictor.covariance(embedding, np.asarray(rows)) * self.scaling.deviation**2

    def predict_draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int] = (0,)
    ) -> Iterator[np.ndarray] | None:
        """Joint draws of the predicted function: n arrays, each float64 [m] over all rows, in the target's unit.

        Returns:
            None if the model has no covariance, or none for so many rows: see `stages.train.joint`.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        self._check(embedding)
        found = predictor.draws(embedding, np.asarray(rows), n, seed) if (predictor := self.joint) else None
        return None if found is None else map(self.scaling.unscale, found)

    def deviation_bounds(
        self, embedding: Embedding, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Bounds of `predict_deviation`, float64 [n] each, which cost no more than a look at the rows; None without.

        Raises:
            InputError: the embedding is not of the kind that the model was trained on.
        """
        if not isinstance(self.predictor, BoundsDeviation):
            return None
        self._check(embedding)
        low, high = self.predictor.deviation_bounds(embedding, np.asarray(rows))
        return low * self.scaling.deviation, high * self.scaling.deviation

    def _check(self, embedding: Embedding) -> None:
        given = describe_embedding(embedding)
        differing = [key for key in self.embedding if self.embedding[key] != given.get(key)]
        if differing:
            expected = ", ".join(f"{key} {self.embedding[key]!r}" for key in differing)
            found = ", ".join(f"{key} {given.get(key)!r}" for key in differing)
            raise InputError(
                f"The model {self.name!r} expects an embedding with {expected}, got {found}. "
                "Embed the sequences with the flags that it was trained with."
            )


def combined(models: Sequence[FittedModel]) -> FittedModel:
    """Combine models of several folds into one: their mean, with their spread in its deviation.

    With `train.target` 'rank' the result is in normal scores of ranks, as theirs.
    """
    if len(models) == 1:
        return models[0]
    first = models[0]
    members = [Member(model.predictor, model.scaling) for model in models]
    # The members' own scalings are applied; only the note about the unit is left.
    scaling = replace(first.scaling, mean=0.0, deviation=1.0)
    classes = mean_class_map([model.classes for model in models])
    return FittedModel(first.name, EnsemblePredictor(members), scaling, first.embedding, classes)


def describe_embedding(embedding: Embedding) -> dict[str, Any]:
    """Identifying entries of this kind of embedding, plain JSON."""
    identity = {key: embedding.info[key] for key in _IDENTITY if embedding.info.get(key) is not None}
    return {
        **identity,
        "width": embedding.width,
        "alphabet": embedding.alphabet if embedding.tokens is not None else None,
    }


def save_model(model: FittedModel, folder: Path, **remarks: Any) -> None:
    """Write a model's two files, tensors first: a folder with `model.json` is complete.

    Args:
        model: the model to write; the same model gives the same bytes.
        folder: created if missing.
        remarks: further plain JSON for `model.json`, for readers (fold, seed).
    """
    from safetensors.numpy import save  # deferred: not needed to load definitions

    tensors = {name: np.ascontiguousarray(value) for name, value in model.predictor.tensors().items()}
    content = save(tensors)
    write_bytes(folder / TENSORS_FILE, content)
    document = {
        "format": _FORMAT,
        "model": model.name,
        "settings": model.predictor.settings(),
        "embedding": model.embedding,
        "target": model.scaling.document(),
        **({} if model.classes is None else {"classes": model.classes.document()}),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
        **remarks,
    }
    write_json(folder / SETTINGS_FILE, document)


def load_model(folder: Path) -> FittedModel:
    """Read an exported model and verify its bytes.

    Raises:
        MissingArtifact: a file does not exist; run the train stage again.
        CorruptArtifact: a file is damaged or of a newer version; run the train stage again.
    """
    from safetensors import SafetensorError

    for name in MODEL_FILES:
        if not (folder / name).is_file():
            raise MissingArtifact(f"{folder / name} is not there. {_REMEDY}")
    try:
        return _restore(folder)
    except (ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise CorruptArtifact(f"{folder} does not hold an exported model ({error!r}). {_REMEDY}") from error


def _restore(folder: Path) -> FittedModel:
    document = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    name, version = document["model"], document["format"]
    if version != _FORMAT or find_model(name) is None:
        raise CorruptArtifact(
            f"{folder / SETTINGS_FILE} has format {version!r} and model {name!r}; format {_FORMAT} and one "
            f"of {', '.join(MODELS)} are expected, or one of a plugin. Read it with the version of this software, and "
            "the plugin, that wrote it."
        )
    content = (folder / TENSORS_FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != document["tensors_sha256"]:
        raise CorruptArtifact(f"{folder / TENSORS_FILE} does not belong to its {SETTINGS_FILE}. {_REMEDY}")
    predictor = restore(name, document["settings"], read_arrays(content))
    classes = read_class_map(document.get("classes"))
    return FittedModel(name, predictor, read_scaling(document["target"]), document["embedding"], classes)
