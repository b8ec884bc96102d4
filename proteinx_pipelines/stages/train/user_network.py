"""Networks of the user's own (`user_models`): `model.name` is a plugin's name.

Trained by `lightning_fit` like the built-in ones, with their validation, checkpoints and flags. A `LightningModule`
brings its own step, optimizer and hooks (`user_lightning`). Weights are exported as numbers; the plugin's function
builds the network that they are read into.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from torch import nn

from proteinx_pipelines.own_flags import own_flags
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.lightning_fit import fit_network
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.task import Fit, FitTask
from proteinx_pipelines.stages.train.user_lightning import UserNetwork
from proteinx_pipelines.stages.train.user_plugins import plugin_entry, plugin_of, told
from proteinx_pipelines.user_models import NetworkShape


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        PluginError: the plugin is not on this node, or its code failed.
        FlagError: Lightning does not accept `trainer.*`, or the checkpoint is of another network.
        TrainingDiverged: the loss is not finite; lower the learning rate.
        Stopped: the monitor ended it.
    """
    plugin = plugin_of(task.flags.model.name)
    flags = own_flags(plugin.schema, task.flags.ext.get("model"))
    settings = {
        "plugin": plugin_entry(plugin),
        "shape": asdict(shape_of(task.embedding)),
        "flags": None if flags is None else flags.model_dump(mode="json"),
    }
    with told(plugin, "failed in training"):
        trained = fit_network(task, settings)
    return Fit(restore({**settings, **trained.output}, trained.weights), trained.info)


def build(settings: Mapping[str, Any]) -> UserNetwork:
    """Build the untrained network.

    Raises:
        PluginError: the plugin is not on this node, it failed, or what it built is no network.
    """
    plugin = plugin_of(settings["plugin"]["name"], settings["plugin"]["version"])
    with told(plugin, "could not be built"):
        made = plugin.make(NetworkShape(**settings["shape"]), own_flags(plugin.schema, settings["flags"]))
        if not isinstance(made, nn.Module):
            raise TypeError(f"found {type(made).__name__}, a torch module is expected")
    return UserNetwork(made, plugin.name)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    return NetworkPredictor(build(settings), settings, tensors)


def shape_of(embedding: Embedding) -> NetworkShape:
    """Shape of the vectors of an embedding."""
    residue_width = embedding.residue_width
    residues = None if residue_width is None else embedding.width // residue_width
    return NetworkShape(embedding.width, residues, residue_width)
