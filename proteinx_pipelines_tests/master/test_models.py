"""Models over HTTP: listed with their score, named, downloaded, asked for predictions at once and as a job."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.conftest import TEMPLATE
from proteinx_pipelines_tests.master.conftest import TOY
from proteinx_pipelines_tests.master.experiments import change, end, new_job

COLUMNS = {
    "mutant", "sequence", "prediction", "deviation", "low", "high", "p_better_than_wild_type", "p_better_than_best",
    "mut_num", "new_positions", "nearest", "remarks",
}  # fmt: skip


@pytest.fixture
def master(open_master, trained_workdir: Path, tmp_path: Path) -> Master:
    return open_master(PROTEINX_WORKDIR=str(trained_workdir))


@pytest.fixture
def trained(master: Master, trained_workdir: Path) -> str:
    """The job that trained `toy`, as dispatch leaves it."""
    summary = json.loads(ExperimentDir(trained_workdir / "experiments", "toy").report_json.read_text())[
        "summary"
    ]
    flags = parse_flags(TOY)
    job_id = new_job(master, "toy", flags=flags.nested(), source="TOY", summary=summary, generation=1)
    end(master, job_id)
    return job_id


@pytest.fixture
def http(master: Master) -> Iterator[TestClient]:
    with TestClient(create_app(master)) as client:
        yield client


def test_a_model_is_listed_with_its_score_data_flags_and_size(http: TestClient, master: Master, trained: str):
    new_job(master, "other", state="FAILED")
    new_job(master, "toy-predict", kind="predict", state="SUCCEEDED")
    ours = [item for item in http.get("/api/models").json()["items"] if item["model_id"] == trained]
    (model,) = ours
    assert (model["experiment_id"], model["source"], model["model"]) == ("toy", "TOY", "ridge")
    assert (model["metric"], model["aliases"]) == ("spearman", [])
    low, high = model["interval"]
    assert low < model["score"] < high
    assert model["size"] > 0
    assert model["flags"]["split"]["folds"] == 3
    described = http.get(f"/api/models/{trained}").json()
    assert described["metrics"]["test"]["values"]["spearman"]["value"] == model["score"]
    assert any(each["path"].startswith("artifacts/model/") for each in described["files"])
    states = {
        find_job(master.database, each["model_id"])["state"]
        for each in http.get("/api/models").json()["items"]
    }
    assert states == {"SUCCEEDED"}


def test_models_are_filtered_and_sorted_as_jobs_are(http: TestClient, master: Master, trained: str):
    better = new_job(master, "better", summary={"test/spearman": 0.999})
    end(master, better)
    best_first = http.get("/api/models?sort=-metric.test/spearman").json()["items"]
    assert [best_first[0]["model_id"], trained in [each["model_id"] for each in best_first]] == [better, True]
    assert http.get("/api/models?metric.test/spearman.min=0.99&source=GB1").json()["total"] >= 1
    assert http.get("/api/models?colour=red").status_code == 422
    assert http.get("/api/models?size=0").status_code == 422


def test_a_name_is_one_models(http: TestClient, master: Master, trained: str):
    other = new_job(master, "second")
    assert http.put(f"/api/models/{other}/aliases/champion").json()["code"] == "unknown_model"
    end(master, other)
    assert http.put(f"/api/models/{other}/aliases/champion").json()["aliases"] == ["champion"]
    assert http.put(f"/api/models/{trained}/aliases/champion").json()["aliases"] == ["champion"]
    assert http.get("/api/models/champion").json()["model_id"] == trained
    assert http.get("/api/models/@champion").json()["model_id"] == trained
    assert http.get("/api/models?alias=champion").json()["total"] == 1
    assert http.delete(f"/api/models/{other}/aliases/champion").status_code == 404
    assert http.delete(f"/api/models/{trained}/aliases/champion").status_code == 204
    assert http.get("/api/models/champion").status_code == 404
    for name in ("1x", "a b", "x" * 64, "j-abc"):
        assert http.put(f"/api/models/{trained}/aliases/{name}").json()["code"] == "bad_alias"


def test_a_download_is_one_archive_of_the_models_files(http: TestClient, master: Master, trained: str):
    answer = http.get(f"/api/models/{trained}/download")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert all(name.startswith("toy-model/") for name in names)
    again = http.get(f"/api/models/{trained}/download")
    assert again.content == answer.content
    known = {"If-None-Match": answer.headers["etag"]}
    assert http.get(f"/api/models/{trained}/download", headers=known).status_code == 304
    head = http.head(f"/api/models/{trained}/download")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
    assert head.headers["content-length"] == str(len(answer.content))
    assert not list(master.settings.uploads_dir.glob("*"))


def test_a_model_whose_files_are_elsewhere_says_so(http: TestClient, master: Master):
    away = new_job(master, "away", node="elsewhere")
    end(master, away)
    assert http.get(f"/api/models/{away}").json()["size"] == 0
    answer = http.get(f"/api/models/{away}/download")
    assert (answer.status_code, answer.json()["code"]) == (404, "missing_artifact")


@pytest.mark.slow
def test_a_few_variants_are_predicted_at_once(http: TestClient, trained: str):
    mutant = f"{TEMPLATE[2]}3A"
    asked = {"mutants": [mutant, f"{mutant}:{TEMPLATE[4]}5W"], "sequences": [TEMPLATE]}
    answer = http.post(f"/api/models/{trained}/predict", json=asked)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert [row["mutant"] for row in rows[:2]] == [mutant, f"{mutant}:{TEMPLATE[4]}5W"]
    assert set(rows[0]) >= COLUMNS
    assert all(row["low"] < row["prediction"] < row["high"] for row in rows)
    table = http.post(f"/api/models/{trained}/predict", json=asked, headers={"Accept": "text/csv"}).text
    assert table.splitlines()[0].split(",")[:3] == list(rows[0])[:3]
    assert len(table.splitlines()) == 4
    wrong = http.post(f"/api/models/{trained}/predict", json={"mutants": ["W1A", "nonsense"]})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_variants")
    assert "nonsense" in wrong.json()["detail"]
    assert http.post(f"/api/models/{trained}/predict", json={}).status_code == 422
    with_final = http.get(f"/api/models/{trained}").json()
    assert with_final["has_final"]
    with zipfile.ZipFile(io.BytesIO(http.get(f"/api/models/{trained}/download").content)) as archive:
        assert any(name.endswith("manifest.json") for name in archive.namelist()), archive.namelist()


@pytest.mark.slow
@pytest.mark.parametrize("letters", ["A", "ACDEFGH"])
def test_variants_become_a_job_whose_design_stage_predicts_them(
    http: TestClient, master: Master, trained_workdir: Path, trained: str, letters: str
):
    mutants = [f"{TEMPLATE[2]}3{letter}" for letter in letters]
    asked = {"mutants": mutants, "as_job": True}
    answer = http.post(f"/api/models/{trained}/predict", json=asked)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"/api/jobs/{job_id}"
    job = http.get(f"/api/jobs/{job_id}").json()
    assert (job["kind"], job["state"], job["flags"]["design"]["library"]) == ("predict", "WAITING", "file")
    settings = load_settings({"PROTEINX_WORKDIR": str(trained_workdir)}, trained_workdir)
    run_local_experiment(settings, job["experiment_id"], parse_flags(job["flags"]))
    change(master, job_id, state="SUCCEEDED", node=settings.node_name)
    saved = http.get(f"/api/jobs/{job_id}/artifacts/artifacts/design/predictions.parquet")
    rows = pq.read_table(io.BytesIO(saved.content)).to_pylist()
    assert sorted(row["mutant"] for row in rows) == sorted(mutants)
    assert set(rows[0]) >= COLUMNS


def test_more_than_the_limit_is_a_job_or_refused(http: TestClient, trained: str):
    many = [f"{TEMPLATE[2]}3A"] * 2_001
    key = {"Idempotency-Key": "once"}
    made = set()
    for _time in (1, 2):  # the client sends again with the same key where an answer was lost
        answer = http.post(f"/api/models/{trained}/predict", json={"mutants": many}, headers=key)
        assert answer.status_code == 202
        assert answer.headers["location"] == answer.json()["job"]
        made.add(answer.json()["job_id"])
    assert len(made) == 1
    refused = http.post(f"/api/models/{trained}/predict", json={"mutants": many, "as_job": False})
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_variants")
