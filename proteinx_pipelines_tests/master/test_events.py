"""Events: written with their change, streamed from where the reader left off."""

from fastapi.testclient import TestClient

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
    items = http.get(f"/api/jobs/{job}/events").json()["items"]
    assert [item["event"] for item in items] == ["job.created"]
    assert http.get("/api/jobs").json()["total"] == 1
