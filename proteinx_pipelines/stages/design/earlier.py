"""Predicted library, and reuse of the one that an earlier design of the same experiment stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import ArtifactError
from proteinx_pipelines.experiment_dir.codecs import design as codec
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.final_model import FinalModel, load_final
from proteinx_pipelines.stages.design.properties import read_further


@dataclass(frozen=True)
class Predicted:
    """A library and its predictions."""

    candidates: Candidates
    mean: np.ndarray
    """float64 [n]."""
    deviation: np.ndarray
    """float64 [n], calibrated."""
    wild_type: float
    """Value a variant has to beat."""
    further: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Prediction and calibrated deviation of each further property, float64 [n] each, by its name."""
    notes: tuple[str, ...] = ()
    """What the flags ask for and the library has less of, in sentences."""


@dataclass(frozen=True)
class Earlier:
    """Stored output of an earlier design of the same library."""

    model: FinalModel
    predictions: pa.Table
    wild_type: float
    notes: tuple[str, ...]
    """Of the library."""

    def predicted(self, measured: Measured, offset: int) -> Predicted:
        """Rebuild the predicted library; `mutant` in the table is in the user's numbering."""
        names = renumbered(self.predictions.column("mutant"), -offset)
        known = measured.candidates
        mean, deviation = (self.predictions.column(name).to_numpy() for name in ("prediction", "deviation"))
        candidates = candidates_of(known.source, known.template, names)
        further = read_further(self.predictions)
        return Predicted(candidates, mean, deviation, self.wild_type, further, self.notes)


def earlier_design(published: ExperimentDir, key: str, weights: Path | None) -> Earlier | None:
    """Return the earlier design if it is complete and its library has this key; None otherwise."""
    try:
        found = codec.load(published)
        if found.report.get("library_key") != key:
            return None
        model = load_final(published.final_model_dir, weights)
    except (ArtifactError, OSError, ValueError, KeyError, TypeError):
        return None  # none, or of another version: it is made anew
    notes = tuple(found.report["library_notes"])
    return Earlier(model, found.predictions, float(found.report["wild_type"]), notes)
