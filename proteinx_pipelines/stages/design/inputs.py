"""Records that a design reads, and what they say before anything is predicted: positions and goals.

The final model is made in `final_fit`, the library in `asked_library`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import Embedding, Evaluation, Selection, Training, VariantTable
from proteinx_pipelines.stages.design.describe import Measured, measured_of
from proteinx_pipelines.stages.design.objective import Objective, objective_of, single_goal
from proteinx_pipelines.stages.design.properties import variants_of
from proteinx_pipelines.stages.design.rules import GIVEN


@dataclass(frozen=True)
class DesignInputs:
    """Input records of the stage."""

    selection: Selection
    variants: VariantTable
    embedding: Embedding
    training: Training
    evaluation: Evaluation
    excluded: VariantTable | None = None
    """Measured variants of the sources of `design.exclude_sources`."""


def make_objective(inputs: DesignInputs, flags: ExperimentFlags, sources: Sequence[str]) -> Objective:
    """The goals of the design, with the best measured value of each property.

    Raises:
        UnknownScore: a goal is of a property that the selection lacks.
    """
    goals = objective_of(flags).goals
    best = {
        name: measured_of(variants_of(inputs.selection, name, flags), sources, single_goal(goal)).best
        for name, goal in goals.items()
        if name in flags.data.properties
    }
    return objective_of(flags, best)


def known_positions(flags: ExperimentFlags, measured: Measured) -> np.ndarray:
    """Positions that may change, int64 from 1: those changed by labelled variants.

    All of them for a language model, and for variants that are given.
    """
    if is_language_model(flags.embedding.name) or flags.design.library in GIVEN:
        return np.arange(1, len(measured.candidates.template) + 1)
    return np.flatnonzero(measured.seen.sum(axis=1) > 1) + 1
