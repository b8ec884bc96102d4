"""`/metrics`, read by Prometheus' own parser."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.contract.heartbeat import Gpu, GpuUsage, Heartbeat
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.dispatch.changes import end_waiting
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.observation.table import TABLE, series_of

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(http: TestClient) -> Series:
    text = http.get("/metrics").text
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(found) == len({(each.name, frozenset(each.labels.items())) for each in found})
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


def value(found: Series, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def add_node(master: Master, name: str, **more: Any) -> None:
    row = {"name": name, "first_seen": timestamp(), "last_seen": timestamp(), **more}
    master.database.write(lambda c: c.execute(insert(nodes).values(**row)))


def test_jobs_nodes_and_waits_are_gauges(http: TestClient, master: Master) -> None:
    http.post("/api/jobs", json={"flags": {"data.source": "GB1"}})
    add_node(master, 'a"b\\c')
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = series(http)
    assert value(found, "proteinx_jobs", state="WAITING") == 1
    assert value(found, "proteinx_queue_waiting") == 1
    assert value(found, "proteinx_node_up", node='a"b\\c') == 1
    assert value(found, "proteinx_queue_paused") == 0
    assert min(found.values()) >= 0


def test_every_metric_of_the_table_is_shown_and_no_other(http: TestClient, master: Master) -> None:
    http.post("/api/jobs", json={"flags": {"data.source": "GB1"}})
    gib = 1 << 30
    beat = Heartbeat(
        node="n",
        time=timestamp(),
        state="busy",
        cpu_percent=50.0,
        memory_used_bytes=gib,
        memory_total_bytes=2 * gib,
        disk_free_bytes=gib,
        disk_total_bytes=4 * gib,
    )
    gpu = Gpu(index=0, utilization_percent=25, memory_used_bytes=gib, memory_total_bytes=2 * gib)
    usage = GpuUsage(node="n", time=timestamp(), gpus=(gpu, Gpu(index=1)))
    add_node(master, "n", heartbeat=beat.model_dump(), gpu_usage=usage.model_dump())
    add_node(master, "of-another-version", heartbeat={"state": ["?"]}, gpu_usage={"gpus": 3})
    series(http)
    found = series(http)
    wanted = {name for metric in TABLE if metric.side != "node" for name in series_of(metric)}
    assert {name for name, _ in found} == wanted
    assert value(found, "proteinx_node_cpu_ratio", node="n") == 0.5
    assert value(found, "proteinx_node_gpu_utilization_ratio", node="n", gpu="0") == 0.25
    assert value(found, "proteinx_node_gpu_utilization_ratio", node="n", gpu="1") is None


def test_ends_of_jobs_and_events_are_counted_once_by_what_ended_them(
    http: TestClient, master: Master
) -> None:
    names = [
        http.post("/api/jobs", json={"flags": {"data.source": "GB1"}}).json()["job_id"] for _ in range(3)
    ]
    master.database.write(lambda c: end_waiting(c, names[0], "CANCELLED"))
    for job_id, error in ((names[1], None), (names[2], "out_of_memory")):
        told = {"state": "FAILED" if error else "SUCCEEDED", "summary": {}, "error": error}
        master.database.write(
            lambda c, told=told, job_id=job_id: events.record(c, "job.state", told, job_id=job_id)
        )
    series(http)
    found = series(http)  # a second look counts nothing again
    assert value(found, "proteinx_jobs_ended_total", state="SUCCEEDED", reason="") == 1
    assert value(found, "proteinx_jobs_ended_total", state="FAILED", reason="out_of_memory") == 1
    assert value(found, "proteinx_jobs_ended_total", state="CANCELLED", reason="") == 1
    assert value(found, "proteinx_events_total", event="job.created") == 3
    assert value(found, "proteinx_events_total", event="job.state") == 3


def test_requests_are_counted_by_route_and_never_by_path(http: TestClient) -> None:
    """A path may be anything: one series each would fill the memory of whoever scrapes."""
    for number in range(50):
        http.get(f"/api/jobs/none-{number}")
        http.get(f"/nowhere/{number}")
        http.request(f"X{number}", "/healthz")
    found = series(http)
    assert (
        value(
            found,
            "proteinx_http_requests_total",
            method="GET",
            route="/api/jobs/{job_id}",
            status="404",
        )
        == 50
    )
    assert len([name for name, _ in found if name == "proteinx_http_requests_total"]) < 10
    assert "none-1" not in str(found)


def test_a_job_that_tells_nothing_new_is_seen_to_stand(http: TestClient, master: Master) -> None:
    job_id = http.post("/api/jobs", json={"flags": {"data.source": "GB1"}}).json()["job_id"]
    add_node(master, "n")
    old = {"state": "RUNNING", "node": "n", "updated_at": timestamp_before(1000)}
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == job_id).values(**old)))
    assert (value(series(http), "proteinx_job_unchanged_seconds") or 0) >= 1000
    master.database.write(lambda c: c.execute(update(nodes).values(is_lost=True)))
    assert value(series(http), "proteinx_job_unchanged_seconds") == 0


@pytest.mark.parametrize(
    ("time", "at_least"),
    [(timestamp_before(60), 60), ("nonsense", 0), ("2999-01-01T00:00:00+00:00", 0)],
    ids=["a minute ago", "unreadable", "ahead"],  # the same in each process that collects
)
def test_the_age_of_nodes_events_is_told(http: TestClient, master: Master, time: str, at_least: int) -> None:
    master.lag.note(time)
    lag = value(series(http), "proteinx_event_lag_seconds")
    assert lag is not None
    assert at_least <= lag < at_least + 3600
