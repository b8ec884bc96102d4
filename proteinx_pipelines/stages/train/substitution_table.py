"""A predicted effect of every substitution of one template: what models learned across assays give (`auto`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.evidence.values import PRIOR, PRIOR_EXCHANGE
from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train.mutations import list_mutations, template_tokens
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import FitTask


@dataclass(frozen=True)
class SubstitutionTable:
    """Predicted effect of every substitution of one template; those of a row's mutations add up."""

    template: np.ndarray
    """uint8 [1, L], tokens."""
    effects: np.ndarray
    """float32 [L, 20], in units of the training targets' deviation, beside their mean."""
    offset: float
    scale: float
    """Mean and deviation of the training targets, in scaled units."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        mutations = list_mutations(embedding, rows, self.template)
        inside = mutations.position < len(
            self.effects
        )  # nothing is known of residues behind the template's end
        each = self.effects[mutations.position[inside], mutations.residue[inside]].astype(np.float64)
        return np.asarray(self.offset + self.scale * np.bincount(mutations.row[inside], each, len(rows)))

    def settings(self) -> dict[str, Any]:
        """Mean and deviation of the training targets."""
        return {"offset": self.offset, "scale": self.scale}

    def tensors(self) -> dict[str, np.ndarray]:
        """Template and effects."""
        return {"template": self.template, "effects": self.effects}


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> SubstitutionTable:
    """Rebuild the table from its exported settings and tensors."""
    offset, scale = float(settings["offset"]), float(settings["scale"])
    return SubstitutionTable(tensors["template"], tensors["effects"], offset, scale)


@dataclass(frozen=True)
class SingleMutants:
    """Training rows of one template, single substitutions, and what a prior knows of the protein."""

    line: np.ndarray
    """uint8 [1, L'], tokens of the template as the rows have them."""
    template: np.ndarray
    """int64 [L], tokens of the twenty residues."""
    position: np.ndarray
    """int64 [n], from 0."""
    new: np.ndarray
    """int64 [n], tokens."""
    target: np.ndarray
    """float64 [n], in scaled units."""
    effects: np.ndarray
    """float [L, 20], of the prior; 0 where it says nothing."""
    exchange: np.ndarray
    """float [20, 20], of the prior: covariance of residues at one site."""
    weights: np.ndarray
    """float, of the model learned across assays."""

    def table(self, effects: np.ndarray) -> SubstitutionTable:
        """The table of effects in units of the targets' deviation, float32 [L, 20]."""
        return SubstitutionTable(self.line, effects, float(self.target.mean()), deviation_of(self.target))


def single_mutants(task: FitTask, weights: str) -> SingleMutants | None:
    """The training rows of a task, if a prior's model can be used for them.

    None where the prior has no such model or none without the protein's relatives, or where rows have several
    templates or mutations, or residues behind the template's end.

    Args:
        task: the fold.
        weights: name of the evidence's array that holds the model.
    """
    evidence, tokens = task.embedding.evidence, task.embedding.tokens
    if evidence is None or tokens is None or len(task.templates) != 1 or weights not in evidence.arrays:
        return None
    effects, found = evidence.arrays[PRIOR][0], evidence.arrays[weights][0, 0]
    if not (np.isfinite(found).all() and np.isfinite(effects).any()):
        return None
    rows = task.fold.train
    line = template_tokens(task.templates, tokens[rows])
    template = line[0][line[0] < len(AMINO_ACIDS)].astype(np.int64)
    mutations = list_mutations(task.embedding, rows, line)
    is_inside = (mutations.position < len(template)).all()
    if (mutations.counts > 1).any() or not len(mutations.row) or not is_inside:
        return None
    return SingleMutants(
        line,
        template,
        mutations.position,
        mutations.residue,
        task.targets[rows][mutations.row],
        np.nan_to_num(effects[: len(template)]),
        evidence.arrays[PRIOR_EXCHANGE][0].reshape(len(AMINO_ACIDS), len(AMINO_ACIDS)),
        found,
    )
