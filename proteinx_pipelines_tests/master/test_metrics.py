"""`/metrics`, read by Prometheus' own parser where it is installed."""

from fastapi.testclient import TestClient
from sqlalchemy import insert

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.master import Master


def test_jobs_nodes_and_waits_are_gauges(http: TestClient, master: Master) -> None:
    http.post("/api/jobs", json={"flags": {"data.source": "GB1"}})
    row = {"name": 'a"b\\c', "first_seen": timestamp(), "last_seen": timestamp()}
    master.database.write(lambda c: c.execute(insert(nodes).values(**row)))
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'proteinx_jobs{state="WAITING"} 1' in lines
    assert 'proteinx_node_up{node="a\\"b\\\\c"} 1' in lines
    assert "proteinx_queue_paused 0" in lines
    for line in lines:  # NAME{LABELS} NUMBER, or a comment
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
