"""Everything that release 0.1.0 wrote is still read: see `release_0_1_0/README.md` for what was recorded."""

import json
import shutil
from pathlib import Path

import pytest

from proteinx_pipelines import open_experiment
from proteinx_pipelines.execution.pipeline_file import read_pipeline
from proteinx_pipelines.experiment_dir.archive import unpack
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.state.store import StateStore

STAGES = always_made()

RELEASE = Path(__file__).parent / "release_0_1_0"
EXPERIMENTS = sorted(path.name for path in (RELEASE / "experiments").iterdir())


def results() -> list[dict]:
    """The results as they were delivered."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in RELEASE.glob("messages/result.*.json")]


def test_its_state_is_migrated_and_answers_as_before(tmp_path):
    shutil.copy(RELEASE / "state.db", tmp_path)
    state = StateStore(tmp_path / "state.db")
    for result in results():
        if result["status"] == "REJECTED":
            continue
        current = state.generation(result["experiment_id"], result["generation"])
        assert current is not None
        assert (current.state, current.result_id) == (result["status"], result["result_id"])
        assert current.summary == result["summary"]
    assert state.undelivered() == []


@pytest.mark.parametrize("experiment_id", EXPERIMENTS)
def test_its_experiments_are_opened(experiment_id):
    experiment = open_experiment(RELEASE / "experiments" / experiment_id)
    assert experiment.id == experiment_id
    assert experiment.status in ("SUCCEEDED", "FAILED", "CANCELLED")
    assert experiment.flags.data.source == (
        "GB1_Nisthal_2019",
    )  # also where a metric is a plugin's that is not here
    assert repr(experiment)
    if experiment.status == "SUCCEEDED":
        assert set(read_pipeline(experiment.directory.pipeline).stages) == set(STAGES)
        assert experiment.summary["test/spearman"] == experiment.document["summary"]["test/spearman"]


def test_its_archive_is_restored_and_every_record_in_it_read(tmp_path):
    manifest = unpack(RELEASE / "archive" / "gb1-archived.tar", tmp_path / "gb1-archived")
    experiment = open_experiment(tmp_path / manifest["experiment_id"])
    assert len(experiment.variants) == experiment.variant_table.n_variants == 60
    assert experiment.embedding.n_variants == len(experiment.predictions) == 60
    assert len(experiment.split.folds) == len(experiment.models) == 3
    assert experiment.summary == experiment.document["summary"]
