"""Nodes over HTTP: list, heartbeat, join, drain."""

from typing import Any

from fastapi.testclient import TestClient

from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.nodes import registry

NOW = "2026-01-01T00:00:00.000+00:00"


def beat(http: TestClient, name: str = "n1", **more: Any) -> Any:
    heartbeat = {"node": name, "time": NOW, "state": "idle", "cpu_percent": 12.5, **more}
    return http.post("/api/nodes/heartbeat", json={"heartbeat": heartbeat})


def test_a_node_that_beats_over_http_is_listed(http: TestClient) -> None:
    assert beat(http).json()["alive_for_s"] == 15
    page = http.get("/api/nodes").json()
    assert (page["total"], page["page"]) == (1, 1)
    node = page["items"][0]
    assert (node["name"], node["alive"], node["cpu_percent"], node["takes_jobs"]) == ("n1", True, 12.5, False)
    assert http.get("/api/nodes/n1").json() == node
    assert http.get("/api/nodes/n2").json()["code"] == "unknown_node"


def test_a_node_is_drained_and_undrained(http: TestClient, master: Master) -> None:
    master.database.write(
        lambda c: registry.seen(c, "n1", {"heartbeat": {"state": "busy"}}, "experiments:n1")
    )
    assert http.post("/api/nodes/n1/drain").json()["state"] == "drained"
    assert http.get("/api/nodes/n1").json()["takes_jobs"] is False
    assert http.post("/api/nodes/n1/undrain").json()["state"] == "busy"
    assert http.get("/api/nodes/n1").json()["takes_jobs"] is True
    assert http.post("/api/nodes/none/drain").status_code == 404


def test_a_node_that_joins_gets_addresses_and_names(open_master: Any, valkey_url: str) -> None:
    from proteinx_pipelines.master.http.app import create_app

    with TestClient(create_app(open_master(REDIS_URL=valkey_url))) as http:
        seat = http.post("/api/nodes/join", json={"name": "gpu-07"}).json()
        assert seat == {
            "name": "gpu-07", "redis_url": valkey_url, "queue_name": "experiments:gpu-07",
            "result_queue_name": "experiments:gpu-07:results", "store": None,
        }  # fmt: skip


def test_a_second_node_of_a_name_is_refused(open_master: Any, valkey_url: str) -> None:
    from proteinx_pipelines.master.http.app import create_app
    from proteinx_pipelines.queue.queue import connect

    with connect(valkey_url) as client, TestClient(create_app(open_master(REDIS_URL=valkey_url))) as http:
        client.set("experiments:twin:name:twin", "workdir-1")
        client.set("nodes/twin/heartbeat", "{}")
        asked = {"name": "twin", "workdir_id": "workdir-2"}
        assert http.post("/api/nodes/join", json=asked).json()["code"] == "node_name_taken"
        assert http.post("/api/nodes/join", json={**asked, "workdir_id": "workdir-1"}).status_code == 200
        client.delete("nodes/twin/heartbeat")
        assert http.post("/api/nodes/join", json=asked).status_code == 200


def test_a_name_that_is_a_key_of_the_queue_is_refused(http: TestClient) -> None:
    """A node called `results` would take its messages from the list of results."""
    for name in ("results", "cancel", "a:b", "", "status"):
        answer = http.post("/api/nodes/join", json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_node_name"), name
        assert beat(http, name).status_code == 422


def test_without_a_redis_nobody_can_join(http: TestClient) -> None:
    answer = http.post("/api/nodes/join", json={"name": "n1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
