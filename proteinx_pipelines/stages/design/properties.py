"""Further properties of a design: a model for each of `data.properties`, under the flags of the experiment's own.

Each is fitted on the rows that have its value, with the experiment's transform, representation, model and seeds, alone
(also where `model.tasks` is joint: the target's model then learns from the properties, not they from it). Its
intervals are calibrated on predictions of rows held out by the experiment's kind of split; by random folds where the
split is read from a file, which names rows of the target alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import UnknownScore
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import (
    PROPERTY,
    STANDARD_ERROR,
    Embedding,
    Evidence,
    Selection,
    Split,
    VariantTable,
)
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.final_model import (
    FinalModel,
    final_model,
    fit_final,
    refuse_without_vectors,
)
from proteinx_pipelines.stages.design.intervals import Intervals, calibrate, calibrate_for
from proteinx_pipelines.stages.embedding.layout import Layout
from proteinx_pipelines.stages.train.export import FittedModel, load_model

_FOLDS = 5
Values = tuple[np.ndarray, np.ndarray]
"""Prediction and calibrated deviation, float64 [n] each."""


def variants_of(selection: Selection, name: str, flags: ExperimentFlags) -> VariantTable:
    """The variants that have a property, which is their target.

    Raises:
        UnknownScore: the selection was made without it.
        BadVariants: no row has it.
    """
    from proteinx_pipelines.stages.transform.transform import transform_variants

    rows = selection.rows
    if PROPERTY + name not in rows.column_names:
        raise UnknownScore(
            f"`data.properties` of the experiment does not name {name!r}; run it again with the name."
        )
    place = rows.column_names.index("DMS_score")
    own = rows.set_column(place, "DMS_score", rows.column(PROPERTY + name))
    if STANDARD_ERROR in own.column_names:  # of the target, not of the property
        own = own.drop_columns([STANDARD_ERROR])
    return transform_variants(
        Selection(own, selection.templates, selection.query, selection.offsets), flags.transform
    )


def fit_property(
    name: str, selection: Selection, flags: ExperimentFlags, layout: Layout,
    *, directory: ExperimentDir, monitor: StageMonitor, weights: Path | None, evidence: Evidence | None = None,
) -> FinalModel:  # fmt: skip
    """Fit the final model of a property and calibrate it.

    Args:
        name: one of `data.properties`.
        selection: rows with that property.
        flags: of the experiment.
        layout: of the experiment's representation, so that one embedding of a candidate serves all properties.
        directory: scratch folder.
        monitor: may stop it.
        weights: checkpoint of a language model.
        evidence: structure and alignment of the templates.
    """
    from proteinx_pipelines.stages.embedding.embed import embed_variants

    refuse_without_vectors(flags)
    flags = flags.model_copy(update={"model": flags.model.model_copy(update={"tasks": "single"})})
    variants = variants_of(selection, name, flags)
    embedding = embed_variants(
        variants, flags.embedding, monitor, weights=weights, layout=layout, evidence=evidence
    )
    held = _held_out(variants, embedding, flags, directory, monitor)
    fitted = fit_final(variants, embedding, flags, directory=directory, monitor=monitor)
    intervals, judged = _calibrated(fitted, held)
    card = {"title": f"{name}: further property", "judged": judged, "intervals": intervals.split}
    return final_model(fitted, variants, flags, intervals, card, weights, evidence)


@dataclass(frozen=True)
class _HeldOut:
    """Predictions of rows by models that were not trained on them."""

    measured: np.ndarray
    predicted: np.ndarray
    deviation: np.ndarray | None
    fold: np.ndarray
    models: Sequence[FittedModel]
    split: str


def _held_out(
    variants: VariantTable, embedding: Embedding, flags: ExperimentFlags, directory: ExperimentDir,
    monitor: StageMonitor,
) -> _HeldOut:  # fmt: skip
    from proteinx_pipelines.stages.train.registry import model_entry
    from proteinx_pipelines.stages.train.shard import ShardInputs, plan_shards
    from proteinx_pipelines.stages.train.shard_files import model_folder
    from proteinx_pipelines.stages.train.shards import run_shard

    split = _split(variants, flags)
    inputs = ShardInputs(model_entry(flags.model.name), variants, embedding, split, flags)
    target = variants.column("target").astype(np.float64)
    found, models = [], []
    for shard in plan_shards(split, flags):
        run_shard(shard, inputs, directory=directory, monitor=monitor)
        model, rows = load_model(model_folder(directory, shard.fold)), split.folds[shard.fold].test
        models.append(model)
        found.append((target[rows], *model.predict_both(embedding, rows), np.full(len(rows), shard.fold)))
    measured, predicted, fold = (np.concatenate([each[k] for each in found]) for k in (0, 1, 3))
    own = [each[2] for each in found if each[2] is not None]
    deviation = np.concatenate(own) if len(own) == len(found) else None
    how = f"{split.info['method']}, {len(split.folds)} fold(s)"
    return _HeldOut(measured, predicted, deviation, fold, models, how)


def _calibrated(fitted: FittedModel, held: _HeldOut) -> tuple[Intervals, dict[str, Any]]:
    """Intervals of the final model, and how well the held-out predictions rank."""
    rank = metrics.compute("spearman", held.measured, held.predicted)
    judged = {"spearman": float(rank), "n": len(held.measured), "split": held.split}
    if held.deviation is None:
        return calibrate(held.measured, held.predicted, None, held.split), judged
    intervals = calibrate_for(
        fitted, held.measured, held.predicted, held.deviation, held.fold, held.models, held.split
    )
    return intervals, judged


def _split(variants: VariantTable, flags: ExperimentFlags) -> Split:
    from proteinx_pipelines.stages.split.assign import assign_split

    chosen = flags.split
    if chosen.method == "file":
        chosen = SplitFlags(method="random", folds=_FOLDS)
    return assign_split(variants, chosen, file=None, own=flags.ext.get("split"))


def predict_further(model: FinalModel, candidates: Candidates) -> dict[str, Values]:
    """Predict candidates by the model of each further property."""
    return {name: each.predict(candidates) for name, each in model.further.items()}


def with_further(table: pa.Table, further: Mapping[str, Values]) -> pa.Table:
    """Append columns `prediction:NAME` and `deviation:NAME` for each property."""
    for name, (mean, deviation) in further.items():
        table = table.append_column(f"prediction:{name}", pa.array(mean))
        table = table.append_column(f"deviation:{name}", pa.array(deviation))
    return table


def read_further(table: pa.Table) -> dict[str, Values]:
    """Read back the columns of `with_further`."""
    names = [name.partition(":")[2] for name in table.column_names if name.startswith("prediction:")]
    return {
        name: (table.column(f"prediction:{name}").to_numpy(), table.column(f"deviation:{name}").to_numpy())
        for name in names
    }
