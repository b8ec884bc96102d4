"""Further properties of a design: a model for each of `data.properties`, under the flags of the experiment's own.

Each is fitted on the rows that have its value, with the experiment's transform, representation, model and seeds. Its
intervals are calibrated on predictions of rows held out by the experiment's kind of split; by random folds where the
split is read from a file, which names rows of the target alone.
"""

from collections.abc import Mapping
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
from proteinx_pipelines.records import PROPERTY, Embedding, Evidence, Selection, Split, VariantTable
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.final_model import (
    FinalModel,
    final_model,
    fit_final,
    refuse_without_vectors,
)
from proteinx_pipelines.stages.design.intervals import Intervals, calibrate
from proteinx_pipelines.stages.embedding.layout import Layout

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
    variants = variants_of(selection, name, flags)
    embedding = embed_variants(
        variants, flags.embedding, monitor, weights=weights, layout=layout, evidence=evidence
    )
    intervals, judged = _held_out(variants, embedding, flags, directory, monitor)
    fitted = fit_final(variants, embedding, flags, directory=directory, monitor=monitor)
    card = {"title": f"{name}: further property", "judged": judged, "intervals": intervals.split}
    return final_model(fitted, variants, flags, intervals, card, weights, evidence)


def _held_out(
    variants: VariantTable, embedding: Embedding, flags: ExperimentFlags, directory: ExperimentDir,
    monitor: StageMonitor,
) -> tuple[Intervals, dict[str, Any]]:  # fmt: skip
    """Intervals from held-out predictions, and how well these rank."""
    from proteinx_pipelines.stages.train.export import load_model
    from proteinx_pipelines.stages.train.registry import MODELS
    from proteinx_pipelines.stages.train.shards import ShardInputs, model_folder, plan_shards, run_shard

    split = _split(variants, flags)
    inputs = ShardInputs(MODELS[flags.model.name], variants, embedding, split, flags)
    target = variants.column("target").astype(np.float64)
    found = []
    for shard in plan_shards(split, flags):
        run_shard(shard, inputs, directory=directory, monitor=monitor)
        model, rows = load_model(model_folder(directory, shard.fold)), split.folds[shard.fold].test
        found.append((target[rows], model.predict(embedding, rows), model.predict_deviation(embedding, rows)))
    measured, predicted = (np.concatenate([each[k] for each in found]) for k in (0, 1))
    own = [each[2] for each in found if each[2] is not None]
    deviation = np.concatenate(own) if len(own) == len(found) else None
    how = f"{split.info['method']}, {len(split.folds)} fold(s)"
    rank = metrics.compute("spearman", measured, predicted)
    judged = {"spearman": float(rank), "n": len(measured), "split": how}
    return calibrate(measured, predicted, deviation, how), judged


def _split(variants: VariantTable, flags: ExperimentFlags) -> Split:
    from proteinx_pipelines.stages.split.assign import assign_split

    chosen = flags.split
    if chosen.method == "file":
        chosen = SplitFlags(method="random", folds=_FOLDS)
    return assign_split(variants, chosen, file=None)


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
