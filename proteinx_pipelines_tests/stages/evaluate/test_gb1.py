"""FLIP's GB1, three_vs_rest, through the real stages: the published ridge."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Selection
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines.stages.transform.transform import transform_variants

DATA = Path(__file__).parents[3] / "../shared/data/assays"
SITES = {39: 265, 40: 266, 41: 267, 54: 280}
"""Residue numbers of the 56-residue domain on ProteinGym's template."""


def gb1_selection():
    with gzip.open(DATA / "GB1_FLIP_splits.csv.gz") as stream:
        table = pyarrow.csv.read_csv(stream)
    template = json.loads((DATA / "SPG1_STRSG_Wu_2016.json").read_text())["template"]
    mutants = [
        ":".join(f"{part[0]}{SITES[int(part[1:-1])]}{part[-1]}" for part in mutant.split(":"))
        if mutant != "WT"
        else mutant
        for mutant in table.column("mutant").to_pylist()
    ]
    n = len(mutants)
    rows = pa.table(
        {
            "source": ["gb1"] * n,
            "mutant": mutants,
            "DMS_score": table.column("Fitness").cast(pa.float64()),
            "DMS_score_bin": pa.nulls(n, pa.string()),
            "mut_num": pa.array([0 if m == "WT" else m.count(":") + 1 for m in mutants], pa.int32()),
        }
    )
    return Selection(rows, {"gb1": template}, {})


@pytest.mark.data
def test_three_vs_rest_is_as_published(tmp_path):
    """Ridge, alpha 1, on one-hot, raw targets: Spearman 0.755, MSE 1.025 on 5,743 test variants."""
    if not (DATA / "GB1_FLIP_splits.csv.gz").is_file():
        pytest.skip("FLIP's GB1 split file is not in ../shared/data")
    flags = parse_flags(
        {
            "data.source": "gb1",
            "split.method": "n_vs_rest",
            "split.n": 3,
            "evaluate.bootstrap": 50,
            "evaluate.plots": False,
        }
    )
    directory, monitor = ExperimentDir(tmp_path, "gb1"), StageMonitor()
    variants = transform_variants(gb1_selection(), flags.transform)
    embedding = embed_variants(variants, flags.embedding, monitor)
    split = assign_split(variants, flags.split)
    training = train_models(variants, embedding, split, flags, directory=directory, monitor=monitor)
    found = evaluate_models(variants, embedding, split, training, flags, directory=directory, monitor=monitor)
    assert found.report["split"]["sizes"][0]["test"] == 5743
    assert found.summary["test/spearman"] == pytest.approx(0.755, abs=0.005)
    assert found.summary["test/mse"] == pytest.approx(1.025, abs=0.005)
    low, high = (found.report["metrics"]["test"]["values"]["spearman"][end] for end in ("low", "high"))
    assert low < 0.755 < high < low + 0.05
    assert np.isfinite(found.predictions.column("prediction").to_numpy()).all()
