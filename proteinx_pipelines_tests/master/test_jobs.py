"""Jobs over HTTP: created, refused, listed."""

from fastapi.testclient import TestClient

RIDGE = {"data": {"source": "GB1"}, "model": {"name": "ridge"}}


def test_a_job_is_answered_with_its_id_and_waits(http: TestClient) -> None:
    answer = http.post("/api/jobs", json={"flags": RIDGE, "experiment_id": "a", "priority": 3})
    assert answer.status_code == 201
    job = answer.json()
    assert (job["state"], job["experiment_id"], job["priority"]) == ("WAITING", "a", 3)
    assert http.get(f"/api/jobs/{job['job_id']}").json()["flags"]["data"]["source"] == ["GB1"]
    assert http.get("/api/jobs").json()["total"] == 1


def test_a_bad_flag_is_answered_with_all_problems_and_nothing_is_kept(http: TestClient) -> None:
    answer = http.post("/api/jobs", json={"flags": {"data.sorce": "GB1", "model.name": "ridge"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "bad_flags"
    assert any("did you mean `data.source`" in problem for problem in answer.json()["problems"])
    assert http.get("/api/jobs").json()["total"] == 0


def test_an_unknown_job_is_named(http: TestClient) -> None:
    answer = http.get("/api/jobs/j-none")
    assert answer.status_code == 404
    assert "'j-none'" in answer.json()["detail"]
