"""Reports of `doctor` and `list` about claimed messages and keys of the wrong type."""

import json
from dataclasses import replace

import pytest

from proteinx_pipelines.node.health import queues as queue_checkup
from proteinx_pipelines.node.health.queues import check_queue, in_words, undecided
from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.queue.queue import connect


def message(experiment_id: str) -> bytes:
    return json.dumps({"experiment_id": experiment_id, "flags": {}}).encode()


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_checkup, "MOMENT_S", 0.0)


def found(intake: Intake) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in check_queue(intake.settings)]


def test_an_idle_queue_is_ok(intake: Intake) -> None:
    assert [level for level, _ in found(intake)] == [OK]


def test_what_is_claimed_and_not_decided_is_named(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    client.lpush("experiments:processing:test-node", message("plug1"), b"not json", message("../x"))
    ((level, text),) = found(intake)
    assert level == WARNING
    assert "3 messages are claimed and not decided yet: plug1, one without a usable id" in text
    assert "code-server.log" in text
    assert in_words(undecided(intake.settings)) in text


def test_what_is_decided_between_two_looks_is_not(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(intake.settings.redis_url or "")
    client.lpush("experiments:processing:test-node", message("a"))
    monkeypatch.setattr(
        queue_checkup.time, "sleep", lambda _s: client.delete("experiments:processing:test-node")
    )
    assert undecided(intake.settings) == []


def test_what_was_claimed_under_an_old_name_is_named_too(intake: Intake) -> None:
    intake.state.former_names("podD")
    connect(intake.settings.redis_url or "").lpush("experiments:processing:podD", message("plug1"))
    (left,) = undecided(replace(intake.settings, node_name="podE"))
    assert (left.node, left.experiment_id) == ("podD", "plug1")


def test_the_list_of_a_node_that_is_gone_is_named_with_what_to_do(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    client.lpush("experiments:processing:podX", message("lost"))
    client.lpush("experiments:processing:podY", message("busy"))
    client.set("nodes/podY/heartbeat", "{}")
    (_, (level, text)) = found(intake)
    assert level == WARNING
    assert "lost" in text
    assert "PROTEINX_NODE_NAME=podX" in text


@pytest.mark.parametrize(
    "key",
    ["experiments", "experiments:cancel", "experiments:results", "experiments:results:sent"],
)
def test_a_key_of_the_wrong_type_is_wrong(intake: Intake, key: str) -> None:
    connect(intake.settings.redis_url or "").set(key, "x")
    level, text = found(intake)[0]
    assert level == WRONG
    assert f"`{key}`" in text
    assert "is a string" in text


def test_a_queue_name_is_no_pattern(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    client.lpush("experiments:processing:podX", message("a"))
    assert found(replace_name(intake, "exp*")) == [(OK, "no message is claimed and undecided")]


def replace_name(intake: Intake, queue_name: str) -> Intake:
    return replace(intake, settings=replace(intake.settings, queue_name=queue_name))
