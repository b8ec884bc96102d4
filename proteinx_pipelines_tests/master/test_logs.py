"""Logs and metrics of a job: from the files of a node here, or sent by one elsewhere; live, and resumed."""

import json
import threading
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.experiments import (
    change,
    directory_of,
    end,
    new_job,
    write_event,
    write_metric,
)

EVENTS = {"Accept": "text/event-stream"}


def lines_of(http: TestClient, job_id: str, what: str = "logs") -> list[dict]:
    answer = http.get(f"/api/jobs/{job_id}/{what}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def events_of(answer: httpx.Response) -> Iterator[tuple[str, str, dict]]:
    """Id, name and document of each event, as they come."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            found[name] = value
        elif "data" in found:
            yield found.get("id", ""), found.get("event", "message"), json.loads(found["data"])
            found = {}


def test_the_log_and_metrics_of_an_experiment_here_are_its_own_files(http: TestClient, master: Master):
    job_id = new_job(master)
    assert lines_of(http, job_id) == []
    directory_of(master)
    assert [line["text"] for line in lines_of(http, job_id)] == ["train: stage_started"]
    (value,) = lines_of(http, job_id, "metrics")
    assert (value["name"], value["value"]) == ("train/loss", 0.5)


@pytest.mark.parametrize("what", ["logs", "metrics"])
def test_a_job_that_is_not_there_has_none(http: TestClient, what: str):
    answer = http.get(f"/api/jobs/j-none/{what}", headers=EVENTS)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


def test_lines_are_seen_before_the_job_ends_and_the_stream_ends_with_it(served: str, master: Master):
    job_id = new_job(master, state="RUNNING")
    directory = directory_of(master)
    with httpx.stream("GET", f"{served}/api/jobs/{job_id}/logs", headers=EVENTS, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer)
        assert next(events)[2]["text"] == "train: stage_started"
        write_event(directory, "epoch_finished", epoch=1)
        seen = next(events)
        assert (seen[2]["text"], seen[1]) == ("train: epoch_finished epoch=1", "message")
        write_event(directory, "saved")
        end(master, job_id)
        assert [event[2].get("text", event[2].get("state")) for event in events] == [
            "train: saved",
            "SUCCEEDED",
        ]
    again = httpx.get(f"{served}/api/jobs/{job_id}/logs", headers={**EVENTS, "Last-Event-ID": seen[0]})
    assert [document.get("text") for _, _, document in events_of(again)] == ["train: saved", None]


def test_a_reader_continues_behind_every_place_without_loss_or_repetition(http: TestClient, master: Master):
    job_id = new_job(master)
    directory = directory_of(master)
    for number in range(5):
        write_event(directory, "epoch_finished", epoch=number)
        write_metric(directory, "train/loss", float(number))
    end(master, job_id)
    for what in ("logs", "metrics"):
        every = list(events_of(http.get(f"/api/jobs/{job_id}/{what}", headers=EVENTS)))
        assert len(every) == 7
        for behind in range(6):
            rest = http.get(
                f"/api/jobs/{job_id}/{what}", headers={**EVENTS, "Last-Event-ID": every[behind][0]}
            )
            assert [each[2] for each in events_of(rest)] == [each[2] for each in every[behind + 1 :]]


def test_a_place_of_another_kind_begins_at_the_beginning(http: TestClient, master: Master):
    job_id = new_job(master)
    directory_of(master)
    for place in ("m9999999", "s12", "x", "1:2,", "9" * 500):
        answer = http.get(f"/api/jobs/{job_id}/logs", headers={"Last-Event-ID": place})
        assert len(answer.text.splitlines()) == 1, place


def test_a_job_has_the_lines_of_its_own_time(http: TestClient, master: Master):
    """An experiment that is sent again goes on in the same files."""
    directory = directory_of(master)
    write_metric(directory, "train/loss", 0.1, generation=1, time="2020-01-01T00:00:00+00:00")
    write_metric(directory, "train/loss", 0.2, generation=2, time="2020-01-02T00:00:00+00:00")
    first = new_job(master, created_at="2020-01-01T00:00:00+00:00", finished_at="2020-01-01T10:00:00+00:00")
    reused = new_job(master, created_at="2020-01-03T00:00:00+00:00", finished_at="2020-01-03T10:00:00+00:00")
    change(master, first, state="SUCCEEDED")
    change(master, reused, state="SUCCEEDED")
    assert [line["value"] for line in lines_of(http, first, "metrics")] == [0.1]
    assert [line["value"] for line in lines_of(http, reused, "metrics")] == [0.2]
    assert lines_of(http, first) == []


def test_a_node_elsewhere_sends_lines_and_a_batch_that_comes_twice_counts_once(
    http: TestClient, master: Master
):
    directory_of(master)  # an experiment of the same name here is not that of the node elsewhere
    job_id = new_job(master, node="elsewhere", state="RUNNING")
    assert lines_of(http, job_id) == []
    batch = {
        "sender": "a",
        "first": 0,
        "lines": ["one", {"time": "2026-01-01T00:00:00+00:00", "text": "two"}],
    }
    assert http.post(f"/api/jobs/{job_id}/logs", json=batch).json() == {"accepted": 2, "next": 2}
    assert http.post(f"/api/jobs/{job_id}/logs", json=batch).json() == {"accepted": 0, "next": 2}
    longer = {**batch, "lines": [*batch["lines"], "three"]}
    assert http.post(f"/api/jobs/{job_id}/logs", json=longer).json() == {"accepted": 1, "next": 3}
    value = {"name": "val/spearman", "value": 0.7, "step": 3, "epoch": 1, "fold": 0, "other": {"x": 1}}
    assert http.post(f"/api/jobs/{job_id}/metrics", json={"lines": [value]}).json()["accepted"] == 1
    assert [line["text"] for line in lines_of(http, job_id)] == ["one", "two", "three"]
    (kept,) = lines_of(http, job_id, "metrics")
    assert (kept["name"], kept["value"], kept["step"], "other" in kept) == ("val/spearman", 0.7, 3, False)


def test_lines_that_a_node_sends_are_seen_live(served: str, master: Master):
    job_id = new_job(master, node="elsewhere", state="RUNNING")
    address = f"{served}/api/jobs/{job_id}/logs"
    with httpx.stream("GET", address, headers=EVENTS, timeout=30) as answer:
        events = events_of(answer)
        sender = threading.Timer(0.5, lambda: httpx.post(address, json={"lines": ["hello"]}))
        sender.start()
        assert next(events)[2]["text"] == "hello"
        sender.join()


def test_secrets_and_endless_lines_are_not_kept(http: TestClient, master: Master):
    job_id = new_job(master, node="elsewhere")
    lines = ["redis://:secret@host:1/0", "x" * 100_000]
    http.post(f"/api/jobs/{job_id}/logs", json={"lines": lines})
    first, second = lines_of(http, job_id)
    assert "secret" not in first["text"]
    assert len(second["text"]) == 20_000


def test_a_batch_with_too_many_lines_is_refused(http: TestClient, master: Master):
    job_id = new_job(master)
    answer = http.post(f"/api/jobs/{job_id}/logs", json={"lines": ["x"] * 5_001})
    assert answer.status_code == 422
    assert lines_of(http, job_id) == []
