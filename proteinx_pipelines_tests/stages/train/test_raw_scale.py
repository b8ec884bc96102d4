"""Targets of a size that a network cannot learn as they are: standardised, and said."""

import json
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.train.targets import network_scaling
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines.stages.transform.transform import transform_variants

CASE = Path(__file__).parents[2] / "field_cases" / "15-raw-scale-network" / "raw.csv"
MEASURED = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize(
    ("targets", "method"),
    [(MEASURED, "none"), (4 * MEASURED, "none"), (0.1 * MEASURED, "none"), (MEASURED + 5, "none"),
     (2e7 + 1e7 * MEASURED, "standardize"), (1e-6 * MEASURED, "standardize"), (MEASURED + 100, "standardize"),
     (np.full(20, 3e7), "none")],
)  # fmt: skip
def test_targets_are_standardised_where_a_network_cannot_learn_them(targets, method):
    assert network_scaling("none", targets)[0] == method
    assert network_scaling("rank", targets) == ("rank", None)
    assert network_scaling("standardize", targets) == ("standardize", None)


def trained(tmp_path, name, target="none"):
    import_file(
        tmp_path / "d.db", CASE, template=json.loads(CASE.with_suffix(".json").read_text())["template"]
    )
    flags = parse_flags({
        "data.source": "raw", "model.name": name, "train.target": target, "train.max_epochs": 5,
        "evaluate.plots": False, "evaluate.bootstrap": 0,
    })  # fmt: skip
    variants = transform_variants(select_variants(tmp_path / "d.db", flags.data), flags.transform)
    embedding = embed_variants(variants, flags.embedding, StageMonitor())
    split, directory = assign_split(variants, flags.split), ExperimentDir(tmp_path, target)
    training = train_models(variants, embedding, split, flags, directory=directory, monitor=StageMonitor())
    return evaluate_models(
        variants, embedding, split, training, flags, directory=directory, monitor=StageMonitor()
    )


def test_a_network_on_raw_intensities_predicts_in_their_unit_and_says_why(tmp_path):
    """It predicted 3e3 for targets of 2e7, with no reason given."""
    found = trained(tmp_path, "mlp")
    test = found.predictions.to_pandas()
    test = test[test.part == "test"]
    assert (test.prediction.between(1e6, 6e7)).all()
    warned = {entry["code"]: entry["message"] for entry in found.report["warnings"]}
    assert "as `train.target=standardize` does" in warned["standardized"]
    assert "on targets standardised by the mean" in found.report["methods"]
    asked = trained(tmp_path / "asked", "mlp", "standardize")
    assert np.allclose(asked.predictions["prediction"], found.predictions["prediction"])
    assert "standardized" not in {entry["code"] for entry in asked.report["warnings"]}


def test_a_closed_form_needs_no_scaling(tmp_path):
    assert "standardized" not in {entry["code"] for entry in trained(tmp_path, "ridge").report["warnings"]}
