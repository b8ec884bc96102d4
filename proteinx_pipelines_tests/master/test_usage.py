"""`/api/usage`: the ended jobs of a Master, as JSON, page and Parquet; the same through the client."""

import io

import pyarrow.parquet as pq
from fastapi.testclient import TestClient
from sqlalchemy import update

from proteinx_pipelines.client import Client
from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.master import Master


def end(http: TestClient, master: Master, state: str, error: str | None = None, ago_s: float = 0.0) -> None:
    job_id = http.post("/api/jobs", json={"flags": {"data.source": "GB1", "model.name": "ridge"}}).json()[
        "job_id"
    ]
    ended = timestamp_before(ago_s)
    values = {"state": state, "error_code": error, "node": "n1", "attempts": 1, "finished_at": ended}
    values |= {"started_at": timestamp_before(ago_s + 5), "updated_at": timestamp()}
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values)))


def test_ended_jobs_are_reported_by_node_and_model(http: TestClient, master: Master) -> None:
    end(http, master, "SUCCEEDED")
    end(http, master, "FAILED", "out_of_memory")
    end(http, master, "FAILED", "worker_lost", ago_s=86400)
    http.post("/api/jobs", json={"flags": {"data.source": "GB1"}})
    told = http.get("/api/usage").json()
    assert told["total"]["ended"] == 3
    (share,) = told["by_node_and_model"]
    assert (share["node"], share["model"], share["failed"]) == ("n1", "ridge", 2)
    assert share["success_rate"] == 1 / 3
    assert {each["reason"] for each in told["reasons"]} == {"out_of_memory", "worker_lost"}
    lately = http.get("/api/usage", params={"since": "1h"}).json()
    assert {each["reason"] for each in lately["reasons"]} == {"out_of_memory"}
    page = http.get("/api/usage", params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "out_of_memory" in page.text
    rows = pq.read_table(io.BytesIO(http.get("/api/usage", params={"format": "parquet"}).content))
    assert rows.num_rows == 3
    assert http.get("/api/usage", params={"since": "soon"}).status_code == 422
    assert http.get("/api/usage", params={"format": "xlsx"}).status_code == 422


def test_the_client_gets_the_report_with_its_rows(http: TestClient, master: Master, served: str) -> None:
    end(http, master, "SUCCEEDED")
    with Client(served) as client:
        told = client.usage("1h")
    assert [row["state"] for row in told["rows"]] == ["SUCCEEDED"]
    assert told["total"]["succeeded"] == 1
