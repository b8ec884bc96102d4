"""The learning curve of each fold, as training recorded it."""

from proteinx_pipelines.records import Training
from proteinx_pipelines.stages.evaluate.learning_curve import learning_curve


def training(*curves):
    return Training("mlp", [], [], {"folds": [{"curve": curve} if curve else {} for curve in curves]})


def test_values_are_kept_by_metric_fold_and_epoch():
    first = [
        {"epoch": 1, "step": 8, "train/loss": 0.5, "val/loss": 0.7},
        {"epoch": 0, "step": 4, "train/loss": 0.9},
    ]
    found = learning_curve(training(first, [{"epoch": 0, "step": 4, "train/loss": 0.8}]))
    assert found == {"train/loss": {0: [(0, 0.9), (1, 0.5)], 1: [(0, 0.8)]}, "val/loss": {0: [(1, 0.7)]}}


def test_undefined_values_leave_a_gap():
    curve = [{"epoch": 0, "val/spearman": None}, {"epoch": 1, "val/spearman": float("nan")}]
    assert learning_curve(training(curve)) == {}


def test_a_closed_form_model_has_no_curve():
    assert learning_curve(training(None)) == {}
