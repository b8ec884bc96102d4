"""Model registry.

To add a model: write a module in this package, add a row below, its name to `flags.model`, and the flags that it reads
to `flags.reading`.

A model's module has two functions:

    fit(task: FitTask) -> Fit                          train it on one fold
    restore(settings, tensors) -> Predictor            build it again from what `Predictor` exported

Reading the table imports no model: `proteinx models` must start fast, and ridge must not load torch.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np

from proteinx_pipelines import user_models
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.flags.reading import READ_BY_MODEL
from proteinx_pipelines.stages.train.task import Fit, FitTask, Predictor


class ModelModule(Protocol):
    """Interface of a model's module."""

    def fit(self, task: FitTask) -> Fit:
        """Train on one fold."""

    def restore(self, settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Predictor:
        """Rebuild the predictor from its exported settings and tensors."""


@dataclass(frozen=True)
class ModelEntry:
    """Row of the registry."""

    name: str
    summary: str
    """One sentence to help choosing a model."""
    module: str
    has_epochs: bool
    """True if it trains in epochs; it then writes its own learning curve and checkpoints."""
    own_flags: tuple[str, ...] = ()
    """Dotted names of a plugin's own flags."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Dotted names of the flags that it reads, in addition to those of every model."""
        return READ_BY_MODEL.get(self.name, self.own_flags)

    def load(self) -> ModelModule:
        """Import the model's module."""
        return cast(ModelModule, importlib.import_module(self.module))


MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "ridge",
            "Linear regression with an L2 penalty, solved exactly; hard to beat with few variants.",
            "proteinx_pipelines.stages.train.ridge",
            has_epochs=False,
        ),
        ModelEntry(
            "ridge_cv",
            "Ridge with the penalty chosen inside the training rows, all penalties from one decomposition.",
            "proteinx_pipelines.stages.train.ridge_cv",
            has_epochs=False,
        ),
        ModelEntry(
            "gp",
            "Gaussian process with calibrated uncertainty; its mutation kernel knows sites and amino acids.",
            "proteinx_pipelines.stages.train.informed_gp",
            has_epochs=False,
        ),
        ModelEntry(
            "boosting",
            "Gradient-boosted trees on substitution features, or on vectors.",
            "proteinx_pipelines.stages.train.boosting",
            has_epochs=False,
        ),
        ModelEntry(
            "forest",
            "Extremely randomised trees on substitution features, or on vectors.",
            "proteinx_pipelines.stages.train.boosting",
            has_epochs=False,
        ),
        ModelEntry(
            "auto",
            "Gaussian process and boosting averaged: the best here without pretrained weights.",
            "proteinx_pipelines.stages.train.auto",
            has_epochs=False,
        ),
        ModelEntry(
            "mlp",
            "Multi-layer perceptron trained by AdamW through Lightning, with early stopping and checkpoints.",
            "proteinx_pipelines.stages.train.mlp",
            has_epochs=True,
        ),
        ModelEntry(
            "cnn",
            "Convolutional network over the residues of the whole sequence, FLIP's baseline; through Lightning.",
            "proteinx_pipelines.stages.train.cnn",
            has_epochs=True,
        ),
        ModelEntry(
            "light_attention",
            "Convolutions over the residues with attention over the positions; through Lightning.",
            "proteinx_pipelines.stages.train.light_attention",
            has_epochs=True,
        ),
        ModelEntry(
            "finetune",
            "A protein language model tuned with a head: low-rank corrections or all weights; through Lightning.",
            "proteinx_pipelines.stages.train.finetune",
            has_epochs=True,
        ),
    )
}
"""Every built-in model, by the name that `model.name` takes."""
_USER_MODULES = {
    "model": "proteinx_pipelines.stages.train.user_model",
    "network": "proteinx_pipelines.stages.train.user_network",
}
"""Kind of a plugin's model -> the module that runs it."""


def find_model(name: str) -> ModelEntry | None:
    """The entry of a model, built in or of a plugin; None for an unknown name. A plugin's is not imported."""
    if name in MODELS:
        return MODELS[name]
    kind = user_models.kind_of(name)
    if kind is None:
        return None
    return ModelEntry(name, f"A {kind} of a plugin.", _USER_MODULES[kind], has_epochs=kind == "network")


def known_models() -> list[ModelEntry]:
    """Entries of every model of this process, built in first, those of plugins with the summary of their code.

    Raises:
        PluginError: a plugin cannot be loaded.
    """
    found = list(MODELS.values())
    for name in user_models.names():
        entry, plugin = find_model(name), user_models.find(name)
        if entry is not None and plugin is not None:
            own = tuple(f"ext.model.{flag}" for flag in (plugin.schema.model_fields if plugin.schema else ()))
            found.append(replace(entry, summary=plugin.summary or entry.summary, own_flags=own))
    return found


def model_entry(name: str) -> ModelEntry:
    """The entry of a model, built in or of a plugin.

    Raises:
        PluginError: there is none of that name on this node; install the distribution that offers it.
    """
    if (found := find_model(name)) is None:
        raise PluginError(f"There is no model {name!r} on this node; install the plugin that offers it.")
    return found
