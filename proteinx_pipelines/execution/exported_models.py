"""Questions to an exported model's folder alone, on a machine that has neither the experiment nor its data."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.execution.designing import Asked, of_classes, read_asked
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.design.acquisition import p_better
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.final_model import MANIFEST, FinalModel, load_final
from proteinx_pipelines.stages.design.given import read_file
from proteinx_pipelines.stages.design.library import singles
from proteinx_pipelines.stages.design.properties import predict_further, with_further
from proteinx_pipelines.stages.design.rules import rules_of

_NEW_POSITION = "changes a position that no variant of the experiment changes"


def is_exported(path: Path) -> bool:
    """True for the folder of an exported model."""
    return (path / MANIFEST).is_file()


def predict_exported(
    folder: Path, asked: Asked, source: str | None = None, monitor: StageMonitor | None = None
) -> pa.Table:
    """Values of variants by an exported model.

    Args:
        folder: of `proteinx model export`, or a copy.
        asked: the variants to predict.
        source: source of the variants; needed where the model was trained on several.
        monitor: receives progress.

    Returns:
        The columns of `designing.predict` without those that need the measurements: `nearest` and `p_better_than_best`.
        The wild type that a variant has to beat is the predicted one.

    Raises:
        BadVariants: a variant cannot be read, or does not fit the template. FlagError: the source is not named.
        MissingArtifact, CorruptArtifact: the folder is not as it was exported. MissingWeights: a language model's
            checkpoint is not on this machine.
    """
    model = load_final(folder)
    name = _source(model, source)
    template, offset = model.templates[name], model.offsets.get(name, 0)
    known = _known_positions(model, template)
    if asked.file is not None:
        candidates = read_file(asked.file, name, template, offset)
    elif asked.singles:
        candidates = singles(name, template, rules_of(DesignFlags(), name, template, offset, known))
    else:
        candidates = candidates_of(name, template, read_asked(asked.mutants, template, offset))
    mean, deviation = model.predict(candidates, monitor)
    table = _table(model, candidates, mean, deviation, known=known, offset=offset)
    if (classes := model.model.classes) is not None:
        table = of_classes(table, classes.probabilities(mean))
    return with_further(table, predict_further(model, candidates))


def _source(model: FinalModel, source: str | None) -> str:
    names = sorted(model.templates)
    if source is None and len(names) == 1:
        return names[0]
    if source in names:
        return str(source)
    found = "is not given" if source is None else f"is {source!r}"
    raise FlagError(
        [f"`--source` {found}; the model was trained on {', '.join(names[:20])}. Name one of them."]
    )


def _known_positions(model: FinalModel, template: str) -> np.ndarray:
    """Positions that the model can tell apart, int64 from 1: those that vary in its experiment."""
    varying = np.asarray(model.layout.positions, np.int64) + 1
    return varying[varying <= len(template)]


def _table(
    model: FinalModel,
    candidates: Candidates,
    mean: np.ndarray,
    deviation: np.ndarray,
    *,
    known: np.ndarray,
    offset: int,
) -> pa.Table:
    none = candidates.row[:0]
    wild_type = Candidates(
        candidates.source, candidates.template, 1, none, candidates.position[:0], candidates.residue[:0]
    )
    low, high = model.intervals.bounds(mean, deviation)
    new = np.bincount(candidates.row[~np.isin(candidates.position, known)], minlength=candidates.n)
    return pa.table(
        {
            "mutant": candidates.names(offset),
            "sequence": candidates.sequences(),
            "prediction": mean,
            "deviation": deviation,
            "low": low,
            "high": high,
            "p_better_than_wild_type": p_better(
                mean, deviation, float(model.predict(wild_type)[0][0]), "maximize"
            ),
            "mut_num": pa.array(candidates.counts, pa.int32()),
            "new_positions": pa.array(new, pa.int32()),
            "remarks": [_NEW_POSITION if places else "" for places in new.tolist()],
        }
    )
