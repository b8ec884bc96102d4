"""Messages in, decisions out, on a real server: a claimed message is durable before it is acknowledged."""

import json
from dataclasses import replace
from typing import Any

import pytest

from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.queue.queue import connect


def message(experiment_id: str, **more: Any) -> bytes:
    """A message that can be accepted, unless `more` says otherwise."""
    return json.dumps({"experiment_id": experiment_id, "flags": {"data": {"source": "GB1"}}, **more}).encode()


def answers(intake: Intake) -> list[dict[str, Any]]:
    """Results on the Master's list, oldest first."""
    client = connect(intake.settings.redis_url or "")
    found = []
    while (raw := client.rpop(intake.settings.result_queue_name)) is not None:
        found.append(json.loads(raw))
    return found


def push(intake: Intake, *messages: bytes) -> None:
    for raw in messages:
        intake.queue.enqueue(raw)


def test_a_message_is_accepted_once_and_acknowledged(intake: Intake) -> None:
    push(intake, message("gb1-001"))
    assert intake.take_waiting() == 1
    current = intake.state.latest("gb1-001")
    assert current is not None
    assert (current.state, current.generation, current.attempt) == ("PENDING", 1, 1)
    assert list(intake.queue.claimed()) == []
    assert answers(intake) == []


def test_messages_keep_the_order_in_which_the_master_pushed_them(intake: Intake) -> None:
    push(intake, *(message(f"e{k}") for k in range(5)))
    intake.take_waiting()
    assert [current.experiment_id for current in intake.state.due(10)] == [f"e{k}" for k in range(5)]


def test_a_higher_priority_goes_first(intake: Intake) -> None:
    push(intake, message("low"), message("high", priority=5))
    intake.take_waiting()
    assert [current.experiment_id for current in intake.state.due(10)] == ["high", "low"]


def test_what_a_dead_process_had_claimed_is_taken_in_at_the_next_start(intake: Intake) -> None:
    """The crash between claiming and deciding: the message is on the processing list and nowhere else."""
    push(intake, message("gb1-001"))
    assert intake.queue.dequeue(0) is not None
    assert intake.take_waiting() == 0
    assert intake.recover() == 1
    assert intake.state.latest("gb1-001") is not None
    assert list(intake.queue.claimed()) == []


def test_a_message_decided_but_not_acknowledged_is_decided_once(intake: Intake) -> None:
    """The crash between the commit and the acknowledgement: the second look must not make a second generation."""
    raw = message("gb1-001", flags={"data": {"source": "GB1"}, "run": {"allow_duplicate": True}})
    push(intake, raw)
    claimed = intake.queue.dequeue(0)
    assert claimed is not None
    intake.ingest(claimed)
    intake.recover()
    current = intake.state.latest("gb1-001")
    assert current is not None
    assert current.generation == 1
    assert answers(intake) == []


def test_without_the_durable_key_the_same_crash_would_double_the_experiment(intake: Intake) -> None:
    """Guard off: with the inbox row gone, the message that was not acknowledged makes a second generation."""
    raw = message("gb1-001", flags={"data": {"source": "GB1"}, "run": {"allow_duplicate": True}})
    intake.ingest(raw)
    with intake.state.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM inbox")
    push(intake, raw)
    intake.take_waiting()
    current = intake.state.latest("gb1-001")
    assert current is not None
    assert current.generation == 2


def test_the_same_message_again_is_answered_with_the_stored_result(intake: Intake) -> None:
    raw = message("gb1-001", message_id="m-1")
    push(intake, raw)
    intake.take_waiting()
    current = intake.state.latest("gb1-001")
    assert current is not None
    payload = json.dumps({"result_id": "r-1", "status": "SUCCEEDED"})
    assert intake.state.finish(current, Outcome("SUCCEEDED"), "r-1", payload)
    push(intake, raw)
    intake.take_waiting()
    assert [answer["result_id"] for answer in answers(intake)] == ["r-1", "r-1"]


def test_the_same_message_while_it_runs_is_not_answered_twice(intake: Intake) -> None:
    push(intake, message("gb1-001"), message("gb1-001"))
    intake.take_waiting()
    assert answers(intake) == []
    assert intake.state.counts() == {"PENDING": 1}


def test_a_new_message_for_a_known_id_is_refused_as_a_duplicate(intake: Intake) -> None:
    push(intake, message("gb1-001"), message("gb1-001", priority=1))
    intake.take_waiting()
    (answer,) = answers(intake)
    assert (answer["status"], answer["error"]["code"]) == ("REJECTED", "duplicate")
    assert "run.allow_duplicate" in answer["error"]["message"]


def test_ids_that_differ_in_case_only_are_one_experiment(intake: Intake) -> None:
    """On macOS and Windows they would share a folder."""
    push(intake, message("GB1"), message("gb1"))
    intake.take_waiting()
    assert [answer["error"]["code"] for answer in answers(intake)] == ["duplicate"]


def test_allow_duplicate_starts_a_generation_that_waits_for_the_first(intake: Intake) -> None:
    again = {"data": {"source": "GB1"}, "run": {"allow_duplicate": True}}
    push(intake, message("gb1-001"), message("gb1-001", flags=again))
    intake.take_waiting()
    assert [current.generation for current in intake.state.due(10)] == [1]
    first = intake.state.generation("gb1-001", 1)
    assert first is not None
    intake.state.finish(first, Outcome("FAILED", "stage_failed", "x"), "r", "{}")
    assert [current.generation for current in intake.state.due(10)] == [2]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"not json", "not_json"),
        (b"x" * (2 * 1024 * 1024), "too_large"),
        (b"\xff\xfe", "not_utf8"),
        (b'{"flags": {"data": {"source": "GB1"}}}', "missing_field"),
        (message("../../x"), "bad_id"),
        (message("con"), "bad_id"),
        (message("a" * 300), "bad_id"),
        (message("a\x00b"), "bad_id"),
        (message("x", schema_version=9), "bad_schema_version"),
        (b'{"experiment_id": "a", "experiment_id": "b", "flags": {"data": {"source": "G"}}}', "duplicate_key"),
        (message("x", flags={"data": {"source": "G"}, "train": {"learnin_rate": 1}}), "bad_flags"),
        (message("x", flags={"data": {"source": "G"}, "train": {"lr": "fast"}}), "bad_flags"),
        (message("x", flags={"data": {"source": "G"}, "train": {"lr": -1}}), "bad_flags"),
        (b'{"experiment_id": "x", "flags": {"data": {"source": "G"}, "train": {"lr": NaN}}}', "bad_flags"),
        (message("x", payload_ref="/etc/passwd"), "path_not_allowed"),
        (message("x", flags={"data": {"source": "G"}, "train": {"ckpt_path": "../../a.ckpt"}}), "path_not_allowed"),
        (
            message("x", flags={"data": {"source": "G", "where": [{"column": "secret", "op": "=", "value": 1}]}}),
            "bad_flags",
        ),
    ],
)  # fmt: skip
def test_a_bad_message_is_answered_and_the_one_behind_it_runs(intake: Intake, raw: bytes, code: str) -> None:
    push(intake, raw, message("good"))
    assert intake.take_waiting() == 2
    (answer,) = answers(intake)
    assert answer["status"] == "REJECTED"
    assert answer["error"]["code"] == code
    assert [current.experiment_id for current in intake.state.due(10)] == ["good"]


def test_a_refusal_is_the_same_result_each_time(intake: Intake) -> None:
    push(intake, b"not json", b"not json")
    intake.take_waiting()
    first, second = answers(intake)
    assert first == second


def test_a_flood_stays_on_the_masters_list(intake: Intake) -> None:
    assert intake.settings.take_ahead == 1_000
    intake = replace(intake, settings=replace(intake.settings, take_ahead=10))
    push(intake, *(message(f"e{k}") for k in range(25)))
    while intake.take_waiting():
        pass
    assert intake.state.counts() == {"PENDING": 10}
    assert intake.queue.waiting() == 15


def test_the_status_hash_says_that_an_experiment_waits(intake: Intake) -> None:
    push(intake, message("gb1-001"))
    intake.take_waiting()
    status = connect(intake.settings.redis_url or "").hgetall("experiments:status:gb1-001")
    assert status[b"state"] == b"PENDING"
    assert status[b"generation"] == b"1"


@pytest.mark.parametrize("ended", [True, False])
def test_a_refused_message_with_the_name_of_an_accepted_one_is_answered_with_its_result(
    intake: Intake, ended: bool
) -> None:
    """It was acknowledged in silence, and the Master waited for ever."""
    push(intake, message("gb1-001", message_id="m-1"))
    intake.take_waiting()
    current = intake.state.latest("gb1-001")
    assert current is not None
    if ended:
        payload = json.dumps({"result_id": "r-1", "status": "SUCCEEDED"})
        assert intake.state.finish(current, Outcome("SUCCEEDED"), "r-1", payload)
    push(intake, message("gb1-001", message_id="m-1", flags={"data": {"source": "GB1"}, "train": {"lr": -1}}))
    intake.take_waiting()
    assert [answer["result_id"] for answer in answers(intake)] == (["r-1", "r-1"] if ended else [])
