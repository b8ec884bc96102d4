"""A reply that gets lost between the node and Redis repeats a step, and never an answer. Each test has its twin."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from proteinx_pipelines.contract import result as contract_result
from proteinx_pipelines.errors import PluginError, QueueUnavailable
from proteinx_pipelines.ledger import arrivals
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import intake as taking
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking import outbox
from proteinx_pipelines.node.talking import still_claimed as claimed
from proteinx_pipelines.node.talking.outbox import deliver_lost, deliver_results
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.queue import RedisQueue, connect

BAD = b"not json"
OTHER = json.dumps({"experiment_id": "o", "flags": {}}).encode()
GOOD = json.dumps({"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "message_id": "m"}).encode()


def answers(intake: Intake) -> list[dict[str, Any]]:
    """Results on the Master's list."""
    raw = connect(intake.settings.redis_url or "").lrange(intake.settings.result_queue_name, 0, -1)
    return [json.loads(text) for text in raw]


def finish(intake: Intake) -> None:
    """The accepted experiment ends, and the agent delivers its result."""
    current = intake.state.latest("e")
    if current is not None and not current.is_terminal:
        payload = json.dumps({"result_id": "r", "status": "SUCCEEDED"})
        assert intake.state.finish(current, Outcome("SUCCEEDED"), "r", payload)
    deliver_results(intake.settings, intake.state)


def lose_acknowledgement(intake: Intake, raw: bytes, patch: pytest.MonkeyPatch, *, executed: bool) -> None:
    """A message is decided, and the connection breaks while it is acknowledged: before Redis does it, or after."""
    ack = RedisQueue.ack

    def broken(queue: RedisQueue, message: bytes) -> None:
        if executed:
            ack(queue, message)
        raise QueueUnavailable("the connection broke") from redis.ConnectionError()

    intake.queue.enqueue(raw)
    with patch.context() as breaking:
        breaking.setattr(RedisQueue, "ack", broken)
        with pytest.raises(QueueUnavailable):
            intake.take_waiting()
    finish(intake)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("raw", [BAD, GOOD])
def test_a_message_whose_acknowledgement_was_lost_is_answered_once(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, raw: bytes, executed: bool
) -> None:
    lose_acknowledgement(intake, raw, monkeypatch, executed=executed)
    intake.recover()
    finish(intake)
    assert len(answers(intake)) == 1
    assert list(intake.queue.claimed()) == []


@pytest.mark.parametrize("raw", [BAD, GOOD])
def test_without_the_note_of_what_was_decided_it_would_be_answered_twice(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.setattr(arrivals, "note_decided", lambda *_: None)
    lose_acknowledgement(intake, raw, monkeypatch, executed=False)
    intake.recover()
    finish(intake)
    assert [answer["result_id"] for answer in answers(intake)] == [answers(intake)[0]["result_id"]] * 2


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("raw", [BAD, GOOD])
def test_a_master_that_asks_again_after_that_is_answered_again(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, raw: bytes, executed: bool
) -> None:
    lose_acknowledgement(intake, raw, monkeypatch, executed=executed)
    intake.recover()
    intake.queue.enqueue(raw)
    intake.take_waiting()
    assert len(answers(intake)) == 2


def test_two_copies_of_which_one_was_not_acknowledged_are_two_answers(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_acknowledgement(intake, BAD, monkeypatch, executed=False)
    intake.queue.enqueue(BAD)
    intake.take_waiting()
    intake.recover()
    assert len(answers(intake)) == 2
    assert list(intake.queue.claimed()) == []


def test_a_copy_that_was_claimed_and_not_decided_is_decided(intake: Intake) -> None:
    """The crash came between the claim and the decision about the second copy."""
    intake.queue.enqueue(BAD)
    intake.take_waiting()
    intake.recover()
    intake.queue.enqueue(BAD)
    assert intake.queue.dequeue(0) == BAD
    intake.recover()
    assert len(answers(intake)) == 2


def send_again_and_crash(intake: Intake, raw: bytes) -> None:
    """The same bytes come right after their first copy was acknowledged; the process dies when it has claimed them."""
    intake.queue.enqueue(raw)
    assert intake.take_waiting() == 1
    finish(intake)
    intake.queue.enqueue(raw)
    assert intake.queue.dequeue(0) == raw
    again = Intake(intake.settings, Ledger(intake.settings.state_path), intake.queue)
    again.recover()
    finish(again)


@pytest.mark.parametrize("raw", [BAD, GOOD])
def test_a_copy_that_is_sent_again_and_claimed_by_a_dying_process_is_answered(
    intake: Intake, raw: bytes
) -> None:
    """Its note would stay until the next look, five seconds later."""
    send_again_and_crash(intake, raw)
    assert len(answers(intake)) == 2
    assert list(intake.queue.claimed()) == []
    assert intake.state.decided_copies() == {}


@pytest.mark.parametrize("raw", [BAD, GOOD])
def test_with_the_note_of_the_first_copy_it_would_be_lost(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.setattr(Ledger, "forget_decided", lambda *_: None)
    send_again_and_crash(intake, raw)
    assert len(answers(intake)) == 1


@pytest.mark.parametrize("take", [Intake.take_waiting, lambda intake: intake.wait(0.1)])
def test_nothing_is_claimed_beside_the_note_of_an_acknowledged_copy(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, take: Callable[[Intake], object]
) -> None:
    dequeue = RedisQueue.dequeue

    def watched(queue: RedisQueue, wait_s: float) -> bytes | None:
        assert intake.state.decided_copies() == {}
        return dequeue(queue, wait_s)

    monkeypatch.setattr(RedisQueue, "dequeue", watched)
    for raw in (BAD, BAD, GOOD, BAD, OTHER):
        intake.queue.enqueue(raw)
    while intake.queue.waiting():
        assert take(intake)
    assert take(intake) in (0, False)
    assert len(answers(intake)) == 4


def test_the_note_goes_also_where_redis_has_lost_the_claim(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ack = RedisQueue.ack

    def emptied(queue: RedisQueue, message: bytes) -> None:
        connect(intake.settings.redis_url or "").delete("experiments:processing:test-node")
        ack(queue, message)

    monkeypatch.setattr(RedisQueue, "ack", emptied)
    send_again_and_crash(intake, BAD)
    assert len(answers(intake)) == 2


def claimed_twice(intake: Intake, raw: bytes) -> Intake:
    """Two equal copies are claimed and not decided, as two lost replies leave them; the intake of the next process."""
    for _ in range(2):
        intake.queue.enqueue(raw)
        assert intake.queue.dequeue(0) == raw
    return Intake(intake.settings, Ledger(intake.settings.state_path), intake.queue)


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [(Ledger, "refuse", 1), (RedisQueue, "ack", 1), (RedisQueue, "ack", 2), (Ledger, "forget_decided", 1)],
)
@pytest.mark.parametrize("is_done", [False, True])
def test_two_equal_copies_are_two_answers_wherever_the_process_dies(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, calls: int, is_done: bool
) -> None:
    """Before or after a step. Acknowledged one by one, the second would be taken for the first."""
    original, left = getattr(owner, name), [calls]

    def dying(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not is_done:
            raise KeyboardInterrupt
        original(*arguments, **named)
        if left[0] == 0:
            raise KeyboardInterrupt

    first = claimed_twice(intake, BAD)
    with monkeypatch.context() as breaking:
        breaking.setattr(owner, name, dying)
        with pytest.raises(KeyboardInterrupt):
            first.recover()
    last = Intake(intake.settings, Ledger(intake.settings.state_path), intake.queue)
    last.recover()
    finish(last)
    assert len(answers(intake)) == 2
    assert list(intake.queue.claimed()) == []
    assert intake.state.decided_copies() == {}


def test_a_copy_beside_one_that_waits_for_the_node_to_be_mended_waits_too(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decided and acknowledged first, it would stand for the other one in the eyes of the next process."""

    def broken(*_: Any) -> Any:
        raise PluginError("broken")

    with monkeypatch.context() as breaking:
        breaking.setattr(Intake, "_read", broken)
        intake.queue.enqueue(BAD)
        assert intake.take_waiting() == 1
    intake.queue.enqueue(BAD)
    assert intake.take_waiting() == 1
    assert answers(intake) == []
    intake.recover()
    assert len(answers(intake)) == 2
    intake.queue.enqueue(BAD)
    intake.take_waiting()
    assert len(answers(intake)) == 3


def test_large_messages_are_claimed_a_few_at_once(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "BATCH_BYTES", 2 * len(BAD))
    for _ in range(5):
        intake.queue.enqueue(BAD)
    assert [intake.take_waiting() for _ in range(4)] == [2, 2, 1, 0]
    assert len(answers(intake)) == 5


def test_no_result_is_there_before_its_message_is_acknowledged(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that came to be behind it: results stay in order."""
    lose_acknowledgement(intake, BAD, monkeypatch, executed=False)
    intake.ingest(OTHER)
    assert deliver_results(intake.settings, intake.state) == 0
    intake.recover()
    assert [answer["error"]["code"] for answer in answers(intake)] == ["bad_flags", "not_json"]
    assert list(intake.queue.claimed()) == []


def test_a_result_waits_for_an_acknowledgement_for_two_minutes_at_most(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node without a working intake would keep all results for ever."""
    monkeypatch.setattr(claimed, "KEPT_BACK_S", 0.2)
    lose_acknowledgement(intake, BAD, monkeypatch, executed=False)
    assert answers(intake) == []
    time.sleep(0.3)
    assert deliver_results(intake.settings, intake.state) == 1
    assert len(intake.queue.claimed()) == 1


def test_a_claimed_message_that_is_not_decided_keeps_no_result_back(intake: Intake) -> None:
    """One that waits for a broken plugin stays claimed for days; the next one is answered."""
    intake.queue.enqueue(GOOD)
    assert intake.queue.dequeue(0) == GOOD
    intake.queue.enqueue(BAD)
    intake.take_waiting()
    assert len(answers(intake)) == 1


def test_something_else_at_the_key_of_the_claimed_list_keeps_no_result_back(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_acknowledgement(intake, BAD, monkeypatch, executed=False)
    connect(intake.settings.redis_url or "").set("experiments:processing:test-node", "x")
    assert deliver_results(intake.settings, intake.state) == 1


def test_what_is_decided_is_acknowledged_before_anything_else_is_taken(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results wait for it, and a message claimed earlier may fail to be taken."""
    intake.queue.enqueue(OTHER)
    assert intake.queue.dequeue(0) == OTHER
    lose_acknowledgement(intake, BAD, monkeypatch, executed=False)

    def broken(*_: Any) -> Any:
        raise QueueUnavailable("claiming a message's key")

    monkeypatch.setattr(taking.MessageClaims, "claim", broken)
    with pytest.raises(QueueUnavailable):
        intake.recover()
    assert list(intake.queue.claimed()) == [OTHER]
    assert [answer["error"]["code"] for answer in answers(intake)] == ["not_json"]


Rollback = Callable[[], None]


@pytest.fixture
def roll_back(intake: Intake) -> Rollback:
    """Everything that Redis has learned from here on is forgotten by it. A real server does so in `chaos`."""
    client = connect(intake.settings.redis_url or "")
    kept: dict[bytes, bytes] = {}

    def back() -> None:
        client.flushdb()
        for key, content in kept.items():
            client.restore(key, 0, content)

    intake.queue.enqueue(GOOD)
    kept.update({key: client.dump(key) for key in client.scan_iter()})
    intake.take_waiting()
    finish(intake)
    assert len(answers(intake)) == 1
    return back


@pytest.mark.parametrize("agent_first", [False, True])
def test_a_result_that_redis_forgot_comes_back_once_with_its_message(
    intake: Intake, roll_back: Rollback, agent_first: bool
) -> None:
    """The old message is on the list again, and its result is not: one answer is right for both."""
    roll_back()
    if agent_first:
        assert deliver_lost(intake.settings, intake.state) == 1
    intake.take_waiting()
    deliver_lost(intake.settings, intake.state)
    assert [answer["result_id"] for answer in answers(intake)] == ["r"]
    assert intake.state.counts() == {"SUCCEEDED": 1}
    status = connect(intake.settings.redis_url or "").hget("experiments:status:e", "state")
    assert status == b"SUCCEEDED"


def lose_reply(intake: Intake, patch: pytest.MonkeyPatch, *, executed: bool, agent_first: bool) -> None:
    """The result that Redis forgot is put back, and the connection breaks: before Redis does it, or after."""
    deliver = MasterLine.deliver

    def broken(line: MasterLine, *arguments: Any) -> bool:
        if executed:
            deliver(line, *arguments)
        raise QueueUnavailable("the connection broke") from redis.ConnectionError()

    with patch.context() as breaking:
        breaking.setattr(MasterLine, "deliver", broken)
        if agent_first:
            assert deliver_lost(intake.settings, intake.state) == 0
        else:
            intake.take_waiting()
    if agent_first:
        intake.take_waiting()
    for _ in range(2):
        deliver_lost(intake.settings, intake.state)
        deliver_results(intake.settings, intake.state)


@pytest.mark.parametrize("agent_first", [False, True])
@pytest.mark.parametrize("executed", [False, True])
def test_a_forgotten_result_whose_second_delivery_was_not_confirmed_is_there_once(
    intake: Intake, roll_back: Rollback, monkeypatch: pytest.MonkeyPatch, executed: bool, agent_first: bool
) -> None:
    """Of 10,000 messages under kills of Redis, one was answered twice: pushed again, and the note of that was lost."""
    roll_back()
    lose_reply(intake, monkeypatch, executed=executed, agent_first=agent_first)
    assert [answer["result_id"] for answer in answers(intake)] == ["r"]


@pytest.mark.parametrize("agent_first", [False, True])
def test_without_a_note_before_the_push_it_would_be_there_twice(
    intake: Intake, roll_back: Rollback, monkeypatch: pytest.MonkeyPatch, agent_first: bool
) -> None:
    monkeypatch.setattr(Ledger, "delivering_again", lambda *_: None)
    roll_back()
    lose_reply(intake, monkeypatch, executed=True, agent_first=agent_first)
    assert len(answers(intake)) == 2


def test_without_the_comparison_the_result_would_be_lost(intake: Intake, roll_back: Rollback) -> None:
    """Guard off: `state.db` says that it is delivered, and only a Master that asks again would get it."""
    roll_back()
    connect(intake.settings.redis_url or "").delete("experiments")
    assert deliver_results(intake.settings, intake.state) == 0
    assert answers(intake) == []
    assert deliver_lost(intake.settings, intake.state) == 1


def test_a_new_result_does_not_hide_the_lost_one(intake: Intake, roll_back: Rollback) -> None:
    roll_back()
    connect(intake.settings.redis_url or "").delete("experiments")
    intake.ingest(BAD)
    deliver_results(intake.settings, intake.state)
    assert sorted(answer["status"] for answer in answers(intake)) == ["REJECTED", "SUCCEEDED"]


def test_a_master_that_asks_after_a_roll_back_is_answered(
    intake: Intake, roll_back: Rollback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A re-delivered result answers the message that reappeared with it, and no later one."""
    roll_back()
    intake.take_waiting()
    connect(intake.settings.redis_url or "").delete(intake.settings.result_queue_name)
    intake.queue.enqueue(GOOD)
    intake.take_waiting()
    assert len(answers(intake)) == 1
    connect(intake.settings.redis_url or "").delete("experiments:results", "experiments:results:sent")
    assert deliver_lost(intake.settings, intake.state) == 1
    monkeypatch.setattr(contract_result, "AGAIN_S", -1.0)
    intake.queue.enqueue(GOOD)
    intake.take_waiting()
    assert len(answers(intake)) == 2


def test_what_was_delivered_long_ago_stays_delivered(
    intake: Intake, roll_back: Rollback, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_back()
    monkeypatch.setattr(outbox, "REMEMBERED_S", -1.0)
    assert deliver_lost(intake.settings, intake.state) == 0


def test_nothing_is_pushed_while_nothing_is_lost(intake: Intake, roll_back: Rollback) -> None:
    assert deliver_lost(intake.settings, intake.state) == 0
    assert len(answers(intake)) == 1
