"""The final model of an experiment, fitted and calibrated from its records.

Chooses between a model of all labelled rows and the mean of the cross-validated ones, calibrates its intervals on the
held-out predictions, and adds models of further properties. What the model is and how it is stored: `final_model`.
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.design.final_model import (
    FinalModel,
    final_model,
    fit_final,
    median_epochs,
    refuse_without_vectors,
    with_judges,
    with_properties,
    with_weights,
)
from proteinx_pipelines.stages.design.inputs import DesignInputs
from proteinx_pipelines.stages.design.intervals import Intervals, calibrate, calibrate_for
from proteinx_pipelines.stages.design.properties import fit_property
from proteinx_pipelines.stages.design.stability import fit_judges
from proteinx_pipelines.stages.train.export import FittedModel, combined, load_model


def make_final(
    inputs: DesignInputs,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    weights: Path | None,
) -> FinalModel:
    """Make the final model, of all labelled rows or of the folds, and calibrate its deviations on held-out predictions.

    Raises:
        FlagError: the representation cannot be made for a new sequence.
    """
    from proteinx_pipelines.stages.design.cards import model_card  # imports the report's words

    if flags.design.final == "folds":
        refuse_without_vectors(flags)
        fitted = combined([load_model(folder) for folder in inputs.training.model_dirs])
    else:
        fitted = fit_final(
            inputs.variants, inputs.embedding, flags, directory=directory, monitor=monitor,
            epochs=median_epochs(inputs.training.info.get("folds", ())),
        )  # fmt: skip
    intervals = held_out_intervals(inputs, fitted)
    card = model_card(inputs.variants, flags, inputs.evaluation.report, intervals)
    evidence = inputs.embedding.evidence
    model = with_weights(
        final_model(fitted, inputs.variants, flags, intervals, card, evidence=evidence), weights
    )
    further = {
        name: fit_property(
            name,
            inputs.selection,
            flags,
            model.layout,
            directory=directory,
            monitor=monitor,
            weights=weights,
            evidence=evidence,
        )
        for name in flags.data.properties
    }
    return with_properties(model, further)


def judged(
    model: FinalModel,
    inputs: DesignInputs,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
) -> FinalModel:
    """The model with those of other seeds and rows, by which the stability of proposals is judged."""
    judges = fit_judges(inputs.variants, inputs.embedding, flags, directory=directory, monitor=monitor)
    return with_judges(model, judges)


def held_out_intervals(inputs: DesignInputs, fitted: FittedModel) -> Intervals:
    """Calibrate intervals of the final model on the test predictions of the cross-validated models."""
    test = inputs.evaluation.predictions.filter(
        pc.equal(inputs.evaluation.predictions.column("part"), "test")
    )
    split = inputs.evaluation.report["split"]["words"]
    measured, predicted = (
        test.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("target", "prediction")
    )
    if "deviation" not in test.column_names:
        return calibrate(measured, predicted, None, split)
    deviation = test.column("deviation").to_numpy(zero_copy_only=False).astype(np.float64)
    fold = test.column("fold").to_numpy(zero_copy_only=False).astype(np.int64)
    models = [load_model(folder) for folder in inputs.training.model_dirs]
    return calibrate_for(fitted, measured, predicted, deviation, fold, models, split)
