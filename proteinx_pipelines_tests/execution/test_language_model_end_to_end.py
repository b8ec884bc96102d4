"""Real ESM-2 weights and real assays through every stage: the use of a checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.codecs import embedding as codec
from proteinx_pipelines.experiment_dir.files import read_json, read_parquet
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import load_settings

SPEARMAN = {
    "TCRG1_MOUSE_Tsuboyama_2023_1E0L": 0.78,
    "PIN1_HUMAN_Tsuboyama_2023_1I6C": 0.76,
    "SQSTM_MOUSE_Tsuboyama_2023_2RRU": 0.82,
}
"""A floor for each assay, pooled over its published random folds."""


@pytest.mark.data
@pytest.mark.slow
def test_a_ridge_on_real_embeddings_runs_end_to_end_on_three_assays(
    tmp_path: Path, shared_data: Path
) -> None:
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "workdir")}, tmp_path)
    settings.workdir.mkdir()
    assays, found = shared_data / "proteingym_singles", {}
    templates = json.loads((assays / "index.json").read_text())
    for name, floor in SPEARMAN.items():
        file = assays / f"{name}.csv.gz"
        import_file(settings.database_path, file, name=name, template=templates[name]["template"])
        flags = {
            "data.source": name, "embedding.name": "esm2_t6_8M_UR50D", "embedding.pooling": "mutated_difference",
            "embedding.weights": str(shared_data / "weights" / "esm2_t6_8M_finetuned.pt"), "model.name": "ridge_cv",
            "split.method": "file", "split.path": str(file), "split.column": "fold_random_5",
            "train.target": "standardize", "evaluate.bootstrap": 0, "evaluate.plots": False,
        }  # fmt: skip
        finished = run_local_experiment(settings, name.lower(), parse_flags(flags))
        found[name] = finished.summary["test/spearman"]
        table = read_parquet(finished.directory.predictions)
        assert np.isfinite(table.column("prediction").to_numpy()).all()
        assert codec.load(finished.directory).width == 320
        baselines = {each["name"]: each for each in read_json(finished.directory.report_json)["baselines"]}
        assert found[name] > baselines["blosum62"]["metrics"]["spearman"]["value"] + 0.1
        assert found[name] > floor, f"{name}: {found[name]}"
    print("Spearman, ridge on ESM-2 t6:", {name: round(value, 4) for name, value in found.items()})  # noqa: T201
