"""Fine-tuning of a protein language model: `model.name=finetune`.

The residues of `onehot` are read by ESM-2 (`model.backbone`), whose last layers are trained together with a head: by
low-rank corrections (`model.tuning` lora), whole (`full`), or not at all (`head`). With one template the head sees what
the mutations change: differences of states from the template's, summed over the mutated positions and averaged over
all; with several, the mean of the states. `train.loss` makes it a regression or a ranking head.

Checkpoints and exported models hold what was trained; the rest is read from the model's own file, whose digest is
kept with it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from proteinx_pipelines.domain.embedders import ESM2_MODELS
from proteinx_pipelines.errors import FlagError, MissingWeights
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.esm2_engine import BOS, EOS, TOKENS_OF_RESIDUES
from proteinx_pipelines.stages.embedding.esm2_weights import (
    Esm2Weights,
    cached_weights_path,
    find_weights,
    read_weights,
)
from proteinx_pipelines.stages.embedding.model_folder import weights_sha256
from proteinx_pipelines.stages.train.esm2_network import PAD, Esm2Network, Tuning
from proteinx_pipelines.stages.train.lightning_fit import fit_network
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.network_tasks import n_outputs, with_tasks
from proteinx_pipelines.stages.train.task import Fit, FitTask

_N_LETTERS = len(AMINO_ACIDS)


class FineTuned(nn.Module):
    """float [B, L * 20] one-hot residues -> float [B], or [B, T] with T outputs; a row of zeros is padding."""

    token_of_letter: Tensor
    template: Tensor

    def __init__(
        self, weights: Esm2Weights, tuning: Tuning, template: str | None, dropout: float, n_outputs: int = 1
    ) -> None:
        super().__init__()
        self.model = Esm2Network(weights, tuning)
        self.register_buffer("token_of_letter", torch.tensor(TOKENS_OF_RESIDUES), persistent=False)
        letters = [AMINO_ACIDS.index(letter) for letter in template or ""]
        self.register_buffer("template", torch.tensor(letters, dtype=torch.int64), persistent=False)
        n_features = weights.width * (1 + bool(template))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_outputs)

    def forward(self, vectors: Tensor) -> Tensor:
        """Predicted values in scaled units."""
        one_hot = vectors.reshape(len(vectors), -1, _N_LETTERS)
        letters, is_residue = one_hot.argmax(dim=-1), one_hot.any(dim=-1)
        features = (
            self._mean(letters, is_residue) if not len(self.template) else self._changes(letters, is_residue)
        )
        return torch.as_tensor(self.head(self.dropout(features))).squeeze(-1)

    def _mean(self, letters: Tensor, is_residue: Tensor) -> Tensor:
        states = self._states(letters, is_residue)
        return (states * is_residue.unsqueeze(-1)).sum(dim=1) / is_residue.sum(dim=1, keepdim=True)

    def _changes(self, letters: Tensor, is_residue: Tensor) -> Tensor:
        """Float [B, 2D]: differences from the template's states, summed over changed positions and averaged over all.

        A variant of another length differs in every position.
        """
        width, n = letters.shape[1], len(self.template)
        template = torch.zeros(1, width, dtype=torch.int64, device=letters.device)
        template[0, :n] = self.template[:width]
        inside = torch.arange(width, device=letters.device)[None] < n
        states = self._states(torch.cat([letters, template]), torch.cat([is_residue, inside]))
        apart = (states[:-1] - states[-1:]) * is_residue.unsqueeze(-1)
        same_length = (is_residue.sum(dim=1, keepdim=True) == n) & inside
        changed = is_residue & ((letters != template) | ~same_length)
        mean = apart.sum(dim=1) / is_residue.sum(dim=1, keepdim=True)
        return torch.cat([(apart * changed.unsqueeze(-1)).sum(dim=1), mean], dim=1)

    def _states(self, letters: Tensor, is_residue: Tensor) -> Tensor:
        """States of the residues, float32 [B, L, D]."""
        tokens = torch.full((letters.shape[0], letters.shape[1] + 2), PAD, device=letters.device)
        tokens[:, 0] = BOS
        tokens[:, 1:-1] = torch.where(is_residue, self.token_of_letter[letters], PAD)
        tokens[torch.arange(len(tokens), device=letters.device), is_residue.sum(dim=1) + 1] = EOS
        found: Tensor = self.model(tokens)[:, 1:-1]
        return found


def fit(task: FitTask) -> Fit:
    """Train on one fold.

    Raises:
        FlagError: the embedding is not `onehot`, the language model is no ESM-2, or the checkpoint is of another one.
        MissingWeights: the language model is not on this node; the message says where to put it.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    model = task.flags.model
    _check(task)
    given = None if model.weights is None else Path(model.weights)
    path = find_weights(model.backbone, given, task.monitor)
    own = {
        "backbone": model.backbone,
        "weights": str(path),
        "weights_sha256": weights_sha256(path),
        "tuning": model.tuning,
        "layers": model.tuned_layers or 1000,
        "rank": model.lora_rank,
        "alpha": model.lora_alpha,
        "lora_dropout": model.lora_dropout,
        "targets": list(model.lora_targets),
        "checkpointing": model.checkpointing,
        "dropout": model.dropout,
        "template": task.templates[0] if len(task.templates) == 1 else None,
    }
    settings = with_tasks(task, own)
    trained = fit_network(task, settings)
    return Fit(restore({**settings, **trained.output}, trained.weights), trained.info)


def build(settings: Mapping[str, Any]) -> FineTuned:
    """Build the network from the language model's file.

    Raises:
        MissingWeights: the file is neither where it was nor in fair-esm's cache, or is another one.
    """
    tuning = Tuning(
        settings["tuning"], settings["layers"], settings["rank"], settings["alpha"], settings["lora_dropout"],
        settings["targets"], settings["checkpointing"],
    )  # fmt: skip
    return FineTuned(
        _weights(settings), tuning, settings["template"], settings["dropout"], n_outputs(settings)
    )


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> NetworkPredictor:
    """Rebuild the predictor from its exported settings and tensors, and the language model's file."""
    return NetworkPredictor(build(settings), settings, tensors)


def _check(task: FitTask) -> None:
    problems, model = [], task.flags.model
    if task.embedding.tokens is None or task.embedding.info.get("name") != "onehot":
        found = task.embedding.info.get("name")
        problems.append(
            f"`embedding.name` is {found!r}, and `model.name` finetune reads residues: take onehot (the language model "
            "is `model.backbone`)"
        )
    if model.backbone not in ESM2_MODELS:
        problems.append(
            f"`model.backbone` is {model.backbone!r}; one of {', '.join(ESM2_MODELS)} is expected"
        )
    if problems:
        raise FlagError(problems)


def _weights(settings: Mapping[str, Any]) -> Esm2Weights:
    name, digest = settings["backbone"], settings["weights_sha256"]
    for path in (Path(settings["weights"]), cached_weights_path(name)):
        if path.exists() and weights_sha256(path) == digest:
            return read_weights(name, path)
    raise MissingWeights(
        f"The fine-tuned model needs the {name} that it was trained from (SHA-256 {digest}); it is neither at "
        f"{settings['weights']} nor at {cached_weights_path(name)}. Put it at either place."
    )
