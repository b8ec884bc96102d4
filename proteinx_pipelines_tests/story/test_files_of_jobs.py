"""A data set is uploaded, trained on, watched, and its model asked: on a node beside the Master and on one elsewhere.

One story for both: what a reader sees over HTTP must not depend on where a node works.
"""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest

from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
GB1 = DEMO / "GB1_Nisthal_2019.csv.gz"
NETWORK = {
    "data.source": "mine", "model.name": "mlp", "split.folds": 2, "train.max_epochs": 4, "evaluate.bootstrap": 100,
}  # fmt: skip
PLACES = ("beside", "elsewhere")


@pytest.fixture(scope="module")
def master(make_node: Callable[..., Node]) -> Node:
    found = make_node(PROTEINX_NODE_NAME="beside", PROTEINX_LABELS="beside", PROTEINX_MASTER_PORT="0")
    found.start("-m", "proteinx_pipelines.cli.main", "up", "--no-web")
    return found


@pytest.fixture(scope="module")
def http(master: Node) -> Iterator[httpx.Client]:
    url = json.loads((master.workdir / "master" / "master.json").read_text(encoding="utf-8"))["url"]
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def elsewhere(make_node: Callable[..., Node], http: httpx.Client) -> Node:
    found = make_node(PROTEINX_LABELS="elsewhere")
    words = ("node", "--master", str(http.base_url).rstrip("/"), "--name", "elsewhere", "--no-web")
    found.start("-m", "proteinx_pipelines.cli.main", *words)
    return found


@pytest.fixture(scope="module")
def dataset(http: httpx.Client) -> dict[str, Any]:
    answer = http.post(
        "/api/datasets", params={"name": "mine", "file_name": GB1.name}, content=GB1.read_bytes()
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def jobs() -> dict[str, str]:
    """Place -> the job that has succeeded there."""
    return {}


def events_of(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = "message"
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
            name = "message"


@pytest.mark.parametrize("place", PLACES)
def test_log_lines_are_seen_before_the_job_ends(
    http: httpx.Client, elsewhere: Node, dataset: dict[str, Any], jobs: dict[str, str], place: str
) -> None:
    asked = {
        "experiment_id": f"watched-{place}", "flags": NETWORK, "dataset": "mine", "needs": {"labels": [place]},
    }  # fmt: skip
    job = http.post("/api/jobs", json=asked).json()
    assert "job_id" in job, job
    seen: list[tuple[str, str]] = []
    with http.stream(
        "GET", f"/api/jobs/{job['job_id']}/logs", headers={"Accept": "text/event-stream"}, timeout=240
    ) as answer:
        for name, document in events_of(answer):
            if name == "end":
                assert document["state"] == "SUCCEEDED", http.get(f"/api/jobs/{job['job_id']}").json()
                break
            state = http.get(f"/api/jobs/{job['job_id']}").json()["state"] if len(seen) < 60 else ""
            seen.append((state, document["text"]))
    assert "RUNNING" in {state for state, _ in seen}, seen[:10]
    assert any("stage_started" in text for _, text in seen)
    assert any("evaluate" in text for _, text in seen)
    jobs[place] = job["job_id"]


@pytest.mark.parametrize("place", PLACES)
def test_metrics_files_and_report_are_there_when_it_has_ended(
    http: httpx.Client, elsewhere: Node, jobs: dict[str, str], place: str
) -> None:
    job_id = jobs[place]
    values = [json.loads(line) for line in http.get(f"/api/jobs/{job_id}/metrics").text.splitlines()]
    assert {"train/loss"} <= {value["name"] for value in values}
    wanted = {
        "artifacts/report.html",
        "artifacts/report.json",
        "artifacts/predictions.parquet",
        "experiment.json",
    }
    end = time.monotonic() + 240
    while not wanted <= (found := files_of(http, job_id)).keys() or not models_in(found):
        assert time.monotonic() < end, sorted(found)
        time.sleep(0.5)
    report = http.get(f"/api/jobs/{job_id}/artifacts/artifacts/report.html")
    assert "<html" in report.text
    assert report.headers["etag"] == f'"{found["artifacts/report.html"]["sha256"]}"'
    assert "sandbox" in report.headers["content-security-policy"]


@pytest.mark.parametrize("place", PLACES)
def test_its_model_is_listed_and_downloaded(http: httpx.Client, jobs: dict[str, str], place: str) -> None:
    (model,) = [each for each in http.get("/api/models").json()["items"] if each["model_id"] == jobs[place]]
    low, high = model["interval"]
    assert low < model["score"] < high
    assert model["data"]["dataset"].startswith("d-")
    archive = zipfile.ZipFile(io.BytesIO(http.get(f"/api/models/{jobs[place]}/download").content))
    assert archive.namelist()


@pytest.mark.parametrize("place", PLACES)
def test_its_model_predicts(http: httpx.Client, elsewhere: Node, jobs: dict[str, str], place: str) -> None:
    """At once beside the Master, if that takes less than a minute; otherwise as a job, whose predictions are files."""
    measured = http.get("/api/datasets/mine").json()["first_rows"][0]["mutant"]
    answer = http.post(f"/api/models/{jobs[place]}/predict", json={"mutants": [measured]})
    if answer.status_code == 200:
        assert place == "beside"
        assert answer.json()["predictions"][0]["mutant"] == measured
        return
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    end = time.monotonic() + 240
    while "artifacts/design/predictions.parquet" not in files_of(http, job_id):
        job = http.get(f"/api/jobs/{job_id}").json()
        assert time.monotonic() < end, job
        assert job["state"] not in ("FAILED", "REJECTED", "CANCELLED"), job["error"]
        time.sleep(0.5)
    import pyarrow.parquet as pq

    saved = http.get(f"/api/jobs/{job_id}/artifacts/artifacts/design/predictions.parquet")
    assert pq.read_table(io.BytesIO(saved.content)).column("mutant").to_pylist() == [measured]


def files_of(http: httpx.Client, job_id: str) -> dict[str, Any]:
    return {each["path"]: each for each in http.get(f"/api/jobs/{job_id}/artifacts").json()["files"]}


def models_in(files: dict[str, Any]) -> list[str]:
    return [path for path in files if path.startswith("artifacts/model/")]
