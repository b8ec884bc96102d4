"""Heartbeats over HTTP: written together, seen by whoever asks, news at once."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.nodes import beats, registry
from proteinx_pipelines_tests.waiting import wait_until


def row(master: Master, name: str) -> Any:
    with master.database.reading() as connection:
        return registry.one_node(connection, name)


def test_what_is_kept_is_news_only_once_in_a_while(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(beats, "steady_seconds", lambda: now[0])
    keep = master.beats.keep
    assert not keep("n1", {"heartbeat": {"state": "idle"}}), "a node that is not known is written at once"
    assert keep("n1", {"heartbeat": {"state": "busy"}})
    assert not keep("n1", {"heartbeat": {}, "capabilities": {"models": []}}), "dispatch waits for it"
    now[0] += ALIVE_FOR_S + 1
    assert not keep("n1", {"heartbeat": {}}), "it may count as lost"
    assert not keep("n2", {"heartbeat": {}}), "another node"


def test_the_last_sign_counts_and_keeps_what_only_an_earlier_one_had(master: Master) -> None:
    master.beats.keep("n1", {})
    master.beats.keep("n1", {"heartbeat": {"state": "idle"}, "gpu_usage": {"gpus": []}})
    master.beats.keep("n1", {"heartbeat": {"state": "busy"}})
    assert row(master, "n1") is None
    master.beats.write(master.database)
    found = row(master, "n1")
    assert (found.heartbeat, found.gpu_usage) == ({"state": "busy"}, {"gpus": []})


def test_a_sign_that_was_kept_does_not_overwrite_news_behind_it(master: Master) -> None:
    master.beats.keep("n1", {})
    master.beats.keep("n1", {"heartbeat": {"state": "idle"}})
    news = {"heartbeat": {"state": "busy"}, "capabilities": {"models": []}}
    assert not master.beats.keep("n1", news)
    master.database.write(lambda connection: registry.seen(connection, "n1", news, over_http=True))
    master.beats.write(master.database)
    assert row(master, "n1").heartbeat == {"state": "busy"}


def test_fifty_nodes_have_one_timer(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(beats, "steady_seconds", lambda: now[0])
    assert [master.beats.is_timer_wanted() for _ in range(50)] == [True, *[False] * 49]
    now[0] += beats.WRITE_EVERY_S
    assert master.beats.is_timer_wanted()


def test_a_sign_is_written_though_nobody_asks_and_at_once_when_somebody_does(
    http: TestClient, master: Master
) -> None:
    def beat(load: float) -> None:
        heartbeat = {
            "node": "n1",
            "time": "2026-01-01T00:00:00.000+00:00",
            "state": "idle",
            "cpu_percent": load,
        }
        assert http.post("/api/nodes/heartbeat", json={"heartbeat": heartbeat}).status_code == 200

    beat(1.0)
    assert row(master, "n1").heartbeat["cpu_percent"] == 1.0
    beat(2.0)
    wait_until(lambda: row(master, "n1").heartbeat["cpu_percent"] == 2.0)
    for load, path in ((3.0, "/api/nodes/n1"), (4.0, "/api/nodes")):
        beat(load)
        answer = http.get(path).json()
        assert answer.get("items", [answer])[0]["cpu_percent"] == load


def test_a_node_that_was_lost_is_back_with_the_sign_that_was_kept(master: Master) -> None:
    master.database.write(lambda connection: registry.seen(connection, "n1", {}, over_http=True))
    master.beats.keep("n1", {})
    master.database.write(lambda connection: registry.lost(connection, "n1"))
    assert master.beats.keep("n1", {})
    assert master.database.write(master.beats.written), "it is news"
    assert not row(master, "n1").is_lost
