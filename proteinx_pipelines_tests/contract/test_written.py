"""What a run writes today is what the documents say: every file of a real experiment against model and schema."""

import json
from pathlib import Path

import jsonschema
import pytest

from proteinx_pipelines import import_file, run_experiment
from proteinx_pipelines.contract.schema import MODELS, model_schema
from proteinx_pipelines.errors import EmptySelection

DEMO = Path(__file__).parents[2] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
FLAGS = {
    "data": {"source": "GB1", "limit": 60},
    "model": {"name": "mlp", "hidden_dims": [4]},
    "train": {"max_epochs": 2, "histogram_every_n_epochs": 1},
    "split": {"folds": 2},
    "evaluate": {"bootstrap": 10},
}
FILES = {
    "experiment": "experiment.json",
    "pipeline": "config/pipeline.json",
    "report": "artifacts/report.json",
    "journal_event": "logs/events/*.jsonl",
    "metric_line": "metrics/metrics.jsonl",
}
"""Document -> where it is in the experiment directory."""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workdir")
    import_file(DEMO, workdir=folder, name="GB1")
    run_experiment("a", FLAGS, workdir=folder)
    with pytest.raises(EmptySelection):
        run_experiment("failed", {"data.source": "GB1", "data.dms_score.min": 1000.0}, workdir=folder)
    return folder / "experiments"


@pytest.mark.parametrize("name", FILES)
def test_what_a_run_writes_is_what_is_published(workdir: Path, name: str) -> None:
    texts = [
        text
        for path in sorted(workdir.glob(f"*/{FILES[name]}"))
        for text in (
            path.read_text("utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text("utf-8")]
        )
    ]
    assert len(texts) >= (5 if name in ("journal_event", "metric_line") else 1)
    properties = set(model_schema(name)["properties"])
    validator = jsonschema.Draft202012Validator(model_schema(name))
    for text in texts:
        document = json.loads(text)
        assert set(document) <= properties, set(document) - properties
        MODELS[name][1].model_validate(document)
        validator.validate(document)


def test_a_failed_run_says_why_in_its_document(workdir: Path) -> None:
    document = json.loads((workdir / "failed" / "experiment.json").read_text(encoding="utf-8"))
    assert (document["status"], document["error"]["code"]) == ("FAILED", "empty_selection")
