"""Events: written with their change, streamed from where the reader left off."""

import json

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.master import events
from proteinx_pipelines.master.master import Master

RIDGE = {"flags": {"data.source": "GB1", "model.name": "ridge"}}


def test_a_jobs_stream_tells_everything_and_ends_with_the_job(http: TestClient) -> None:
    job = http.post("/api/jobs", json=RIDGE).json()["job_id"]
    http.patch(f"/api/jobs/{job}", json={"priority": 3})
    http.post(f"/api/jobs/{job}/cancel")
    streamed = http.get(f"/api/jobs/{job}/events", headers={"Accept": "text/event-stream"}).text
    names = [line.removeprefix("event: ") for line in streamed.splitlines() if line.startswith("event: ")]
    assert names == ["job.created", "job.moved", "job.state", "end"]
    last = [line.removeprefix("id: ") for line in streamed.splitlines() if line.startswith("id: ")]
    again = {"Accept": "text/event-stream", "Last-Event-ID": last[1]}
    rest = http.get(f"/api/jobs/{job}/events", headers=again).text
    assert "job.moved" not in rest
    assert "job.state" in rest


def test_what_failed_left_no_event(http: TestClient) -> None:
    job = http.post("/api/jobs", json=RIDGE).json()["job_id"]
    http.post("/api/jobs/batch", json={"jobs": [RIDGE, {**RIDGE, "dataset": "none"}]})
    http.patch(f"/api/jobs/{job}", json={"priority": 3, "before": "j-none"})
    assert [each["event"] for each in lines_of(http, job)] == ["job.created"]
    assert http.get("/api/jobs").json()["total"] == 1


def lines_of(http: TestClient, job: str, **headers: str) -> list[dict]:
    answer = http.get(f"/api/jobs/{job}/events", headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_without_a_stream_the_events_are_lines_all_of_them_or_those_behind_a_number(
    http: TestClient, master: Master
) -> None:
    job = http.post("/api/jobs", json=RIDGE).json()["job_id"]
    master.database.write(
        lambda c: events.record_all(c, "job.moved", [(job, {"priority": each}) for each in range(700)])
    )
    told = lines_of(http, job)
    assert [each["event"] for each in told] == ["job.created", *["job.moved"] * 700]
    assert {each["job_id"] for each in told} == {job}
    behind = {"Last-Event-ID": str(told[-3]["seq"])}
    assert lines_of(http, job, **behind) == told[-2:]
    assert http.get(f"/api/jobs/{job}/events", params={"after": told[-2]["seq"]}).text.count("\n") == 1


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_the_events_of_no_job_are_a_404(accept: str, http: TestClient) -> None:
    answer = http.get("/api/jobs/j-none/events", headers={"Accept": accept})
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_job"
