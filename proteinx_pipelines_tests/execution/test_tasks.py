"""Several properties in one model, from a file to a report and a plate: what is judged, told and proposed."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines import demo
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.stages.design.final_model import load_final
from proteinx_pipelines.variant_files.understood import ReadingOptions

DATA = Path(demo.__file__).with_name("data") / "GB1_Nisthal_2019.csv.gz"
TEMPLATE = "MTYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
N_ROWS, EVERY = 150, 3


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> ExperimentDir:
    """150 rows of the demo: every third has the score `few`, all have `many`, which falls as it rises."""
    folder = tmp_path_factory.mktemp("tasks")
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder / "w")})
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.DictReader(file))[: N_ROWS * 5 : 5]
    lines = ["mutant,many,few"]
    for number, row in enumerate(rows):
        score = float(row["DMS_score"])
        lines.append(f"{row['mutant']},{-0.5 * score:.4f},{score if number % EVERY == 0 else ''}")
    (folder / "two.csv").write_text("\n".join(lines))
    settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    import_file(
        settings.database_path, folder / "two.csv", template=TEMPLATE, name="two",
        options=ReadingOptions(score_column="many", further_columns=("few",)),
    )  # fmt: skip
    flags = {
        "data.source": "two", "data.score": "few", "data.properties": ["many"], "model.name": "gp",
        "model.tasks": "joint", "evaluate.bootstrap": 0, "evaluate.plots": False, "evaluate.train_fractions": [0.5],
        "split.folds": 2, "design.library": "singles", "design.n": 6,
    }  # fmt: skip
    return run_local_experiment(settings, "two", parse_flags(flags)).directory


@pytest.mark.slow
def test_scored_rows_alone_are_judged_and_the_others_are_told(joint) -> None:
    n = N_ROWS // EVERY
    variants = pq.read_table(joint.variants)
    assert variants.num_rows == N_ROWS
    assert np.isfinite(variants["target"].to_numpy()).sum() == n
    report = read_json(joint.report_json)
    assert report["data"]["n_variants"] == report["metrics"]["test"]["n"] == n
    assert len(report["size_curve"]) == 3
    assert "learned jointly with many" in report["methods"]
    assert "100 variants without a score" in report["methods"]
    assert any("Bonilla" in text for text in report["references"])
    for fold in report["training"]["info"]["folds"]:
        told = fold["tasks"]
        assert told["names"] == ["few", "many"]
        assert told["rows"] == {"few": fold["n_train"], "many": fold["n_train"] + N_ROWS - n}
        assert told["correlation"][0][1] < -0.9
    assert report["metrics"]["test"]["values"]["spearman"]["value"] > 0.4


@pytest.mark.slow
def test_the_final_model_is_joint_and_predicts_and_proposes_the_target(joint) -> None:
    settings = read_json(joint.final_model_dir / "model.json")["settings"]
    assert settings["tasks"] == ["few", "many"]
    model = load_final(joint.final_model_dir)
    assert "tasks" not in model.further["many"].model.predictor.settings()  # a model of its own
    proposals = pq.read_table(joint.design_dir / "proposals.parquet").to_pandas()
    assert (proposals["rank"] > 0).sum() >= 6
    variants = pq.read_table(joint.variants).to_pandas()
    measured = set(variants.sequence[np.isfinite(variants.target)])
    assert not measured & set(proposals.sequence[proposals["rank"] > 0])
    table = pq.read_table(joint.design_dir / "predictions.parquet").to_pandas().set_index("mutant")
    names = [name for name in variants.mutant[~np.isfinite(variants.target)] if name in table.index][:5]
    assert len(names) == 5  # measured for the other property alone: they may be proposed
    found = open_experiment(joint.root).predict(names)
    assert np.allclose(found.prediction, table.prediction[names], rtol=1e-9)
    assert np.isfinite(found.deviation).all()
