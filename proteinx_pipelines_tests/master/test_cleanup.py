"""Cleaning: what nothing refers to goes, what was promised stays whatever the budget."""

import os
import time

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.models.aliases import set_alias
from proteinx_pipelines_tests.master.experiments import end, new_job
from proteinx_pipelines_tests.vanishing import vanishing


def send(http: TestClient, job_id: str, path: str, size: int = 1_000) -> None:
    assert http.put(f"/api/jobs/{job_id}/artifacts/{path}", content=os.urandom(size)).status_code == 201


def paths(http: TestClient, job_id: str) -> set[str]:
    return {each["path"] for each in http.get(f"/api/jobs/{job_id}/artifacts").json()["files"]}


def clean(http: TestClient, **asked: object) -> dict:
    answer = http.post("/api/admin/cleanup", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def age(master: Master, days: float = 2) -> None:
    """Make every file of the Master old."""
    then = time.time() - days * 24 * 3600
    for folder in (master.settings.objects_dir, master.settings.uploads_dir, master.settings.datasets_dir):
        for path in (*folder.rglob("*"), *folder.glob("*")):
            os.utime(path, (then, then))


def ended(http: TestClient, master: Master, experiment_id: str, state: str = "SUCCEEDED") -> str:
    job_id = new_job(master, experiment_id, node="elsewhere")
    for path in (
        "artifacts/report.html",
        "artifacts/predictions.parquet",
        "artifacts/model/final/weights.bin",
    ):
        send(http, job_id, path)
    end(master, job_id, state)
    return job_id


def test_what_was_promised_stays_whatever_the_budget(http: TestClient, master: Master):
    older, newest = ended(http, master, "a"), ended(http, master, "a")
    named, after = ended(http, master, "b"), ended(http, master, "b")
    failed = ended(http, master, "c", "FAILED")
    running = new_job(master, "d", node="elsewhere", state="RUNNING")
    send(http, running, "logs/x.bin")
    master.database.write(lambda connection: set_alias(connection, "champion", named))
    planned = clean(http, dry_run=True, budget_gb=0)
    assert paths(http, older) == paths(http, newest)
    assert {item["name"] for item in planned["items"]} == {
        f"{job}/artifacts/model/final/weights.bin" for job in (older, failed)
    }
    assert (planned["removed_bytes"], planned["freed_bytes"], planned["is_within_budget"]) == (
        0,
        2_000,
        False,
    )
    done = clean(http, dry_run=False, budget_gb=0)
    assert done["removed_bytes"] == 2_000
    results = {"artifacts/report.html", "artifacts/predictions.parquet"}
    assert paths(http, older) == paths(http, failed) == results
    assert paths(http, newest) == paths(http, named) == paths(http, after)
    assert "artifacts/model/final/weights.bin" in paths(http, named)
    assert paths(http, running) == {"logs/x.bin"}
    for job_id in (older, newest, named, failed, running):
        for path in paths(http, job_id):
            assert http.get(f"/api/jobs/{job_id}/artifacts/{path}").status_code == 200
    assert clean(http, dry_run=False, budget_gb=0)["items"] == []


def test_within_the_budget_nothing_goes_and_above_it_the_oldest_first(http: TestClient, master: Master):
    first, second, _newest = (ended(http, master, "a") for _ in range(3))
    used = clean(http)["used_bytes"]
    assert clean(http, budget_gb=used / 1e9)["items"] == []
    (item,) = clean(http, dry_run=False, budget_gb=(used - 500) / 1e9)["items"]
    assert item["name"].startswith(first)
    assert "artifacts/model/final/weights.bin" in paths(http, second)


def test_a_file_that_a_kept_job_has_too_stays(http: TestClient, master: Master):
    older, newest = new_job(master, "a", node="elsewhere"), new_job(master, "a", node="elsewhere")
    for job_id in (older, newest):
        http.put(f"/api/jobs/{job_id}/artifacts/same.bin", content=b"same")
        end(master, job_id)
    clean(http, dry_run=False, budget_gb=0)
    assert http.get(f"/api/jobs/{newest}/artifacts/same.bin").content == b"same"


def test_what_nothing_refers_to_goes_once_it_is_old(http: TestClient, master: Master):
    job_id = new_job(master, "a", node="elsewhere")
    send(http, job_id, "x.bin", 500)
    http.post(f"/api/jobs/{job_id}/logs", json={"lines": ["one"]})
    http.put(f"/api/jobs/{job_id}/artifacts/half.bin", content=b"half", headers={"upload-length": "100"})
    kept = new_job(master, "b", node="elsewhere")
    send(http, kept, "y.bin", 700)
    master.database.write(lambda connection: connection.execute(delete(jobs).where(jobs.c.job_id == job_id)))
    assert {item["kind"] for item in clean(http)["items"]} == {
        "lines"
    }  # young files may be on their way to a row
    age(master)
    done = clean(http, dry_run=False)
    assert done["removed_bytes"] == 504
    left = [path for path in master.settings.objects_dir.rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in left] == [700]
    assert not list(master.settings.uploads_dir.glob("*"))
    assert clean(http)["items"] == []


def test_a_file_that_goes_while_it_is_looked_for_is_no_longer_found(
    http: TestClient, master: Master, monkeypatch: pytest.MonkeyPatch
):
    """Cleaning ended with an error of the server when an upload ended meanwhile."""
    send(http, new_job(master, "a", node="elsewhere"), "x.bin", 500)
    (going,) = (path for path in master.settings.objects_dir.rglob("*") if path.is_file())
    vanishing(monkeypatch, going)
    assert clean(http)["items"] == []
    assert not going.exists()


@pytest.mark.parametrize("asked", [{"budget_gb": -1}, {"dryrun": False}, {"budget_gb": "much"}])
def test_a_misspelt_request_removes_nothing(http: TestClient, asked: dict):
    assert http.post("/api/admin/cleanup", json=asked).status_code == 422


def test_without_a_body_it_is_a_dry_run(http: TestClient):
    assert http.post("/api/admin/cleanup").json()["dry_run"] is True
