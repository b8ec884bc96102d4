"""Published numbers of FLIP's GB1 splits, from the variants to the exported model."""

import gzip
import json
from pathlib import Path

import building
import numpy as np
import pyarrow.csv as csv
import pytest
from scipy.stats import spearmanr

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.train import train_models

ASSAYS = Path(__file__).parents[3] / "../shared/data/assays"


@pytest.mark.data
@pytest.mark.skipif(
    not ASSAYS.is_dir(), reason="the shared data folder is not there: FLIP's GB1 splits are skipped"
)
@pytest.mark.parametrize(("name", "expected"), [("one", 0.279), ("two", 0.594), ("three", 0.755)])
def test_one_hot_ridge_reaches_the_published_spearman_on_gb1(name, expected, tmp_path):
    with gzip.open(ASSAYS / "GB1_FLIP_splits.csv.gz") as stream:
        rows = csv.read_csv(stream)
    template = json.loads((ASSAYS / "GB1_FLIP_four_sites.json").read_text())["template"]
    part = rows.column(f"{name}_vs_rest").to_numpy(zero_copy_only=False)
    used = np.flatnonzero((part == "train") | (part == "test"))
    letters = rows.column("Variants").to_pylist()
    sequences = [_mutated(template, letters[row]) for row in used]
    variants = building.variant_table(sequences, rows.column("Fitness").to_numpy()[used])
    train, test = np.flatnonzero(part[used] == "train"), np.flatnonzero(part[used] == "test")
    embedding = building.one_hot(variants)
    directory = ExperimentDir(tmp_path, "gb1")
    training = train_models(
        variants, embedding, building.split_of(variants, (train, [], test)), building.flags(),
        directory=directory, monitor=StageMonitor(),
    )  # fmt: skip
    predicted = load_model(training.model_dirs[0]).predict(embedding, test)
    found = spearmanr(predicted, variants.column("target")[test]).statistic
    assert found == pytest.approx(expected, abs=0.005)


def _mutated(template: str, letters: str) -> str:
    sequence = list(template)
    for position, letter in zip((39, 40, 41, 54), letters, strict=True):
        sequence[position - 1] = letter
    return "".join(sequence)
