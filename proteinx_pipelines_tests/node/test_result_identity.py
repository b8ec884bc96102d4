"""Identity of results, and the time for which Redis remembers that one has been sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import attempt_end as finishing
from proteinx_pipelines.node.lifecycle.archiving import Shelf
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.outbox import MARKED_S, deliver_lost, deliver_results, forget_deliveries
from proteinx_pipelines.queue.claims import OWNER_S, SAME_NAME_S
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.node.world import FakeRuns, World

BAD = b"not json"
SENT = "experiments:results:sent"


def end(world: World) -> None:
    """An experiment comes, and ends."""
    assert finish_generation(world.settings, world.state, world.arrive(), Outcome("SUCCEEDED"))


def ids(world: World) -> list[str]:
    """Identities of what lies on the Master's list."""
    return [str(result["result_id"]) for result in world.results()]


def give_no_sign(world: World, seconds: int) -> None:
    """The node has given no sign of life for this long; another one answers its messages then."""
    client = connect(world.settings.redis_url or "")
    client.expire(f"experiments:owner:{world.state.workdir_id()}", OWNER_S - seconds)


def test_an_experiment_that_was_removed_and_comes_again_is_answered_again(world: World) -> None:
    """It is generation 1 of the same id once more, and Redis remembered the first one's result."""
    end(world)
    assert Shelf(world.settings, world.state).remove("e")
    end(world)
    assert len(set(ids(world))) == 2
    assert world.state.undelivered() == []


def test_a_result_that_is_still_owed_does_not_stand_for_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setattr(finishing, "deliver_results", lambda *_: 0)
        end(world)
    assert Shelf(world.settings, world.state).remove("e")
    end(world)
    assert len(set(ids(world))) == 2


def test_a_refused_message_of_a_removed_experiment_is_refused_again(world: World) -> None:
    end(world)
    again = b'{"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "priority": 1}'
    world.intake.ingest(again)
    assert Shelf(world.settings, world.state).remove("e")
    end(world)
    world.intake.ingest(again)
    deliver_results(world.settings, world.state)
    assert [result["status"] for result in world.results()] == ["REJECTED", "SUCCEEDED"] * 2
    assert len(set(ids(world))) == 4


def test_a_node_that_lost_its_history_answers_what_comes_again(world: World, tmp_path: Path) -> None:
    empty = World(replace(world.intake, state=Ledger(tmp_path / "empty.db")), FakeRuns())
    for one in (world, empty):
        give_no_sign(world, SAME_NAME_S + 1)
        end(one)
        one.intake.ingest(BAD)
        deliver_results(one.settings, one.state)
    assert len(set(ids(world))) == 4


def test_two_nodes_on_one_redis_answer_each_for_itself(world: World, tmp_path: Path) -> None:
    """Both may have had the same moment: the name of the node tells them apart as well."""
    settings = replace(world.settings, node_name="other", workdir=tmp_path / "other")
    settings.run_dir.mkdir(parents=True)
    intake = Intake(settings, Ledger(settings.state_path), world.intake.queue)
    for one in (world, World(intake, FakeRuns())):
        give_no_sign(world, OWNER_S)
        end(one)
        one.intake.ingest(BAD)
        deliver_results(one.settings, one.state)
    assert len(set(ids(world))) == 4


def test_a_result_that_is_built_again_after_a_crash_is_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def die(_state: Ledger, _current: object, _outcome: Outcome, result_id: str, _payload: str) -> bool:
        built.append(result_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Ledger, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            end(world)
    assert finish_generation(world.settings, world.state, world.latest(), Outcome("SUCCEEDED"))
    assert ids(world) == built


def test_a_refused_message_that_comes_again_has_its_first_identity(intake: Intake) -> None:
    for _ in range(3):
        intake.ingest(BAD)
        deliver_results(intake.settings, intake.state)
    client = connect(intake.settings.redis_url or "")
    assert len(set(client.lrange("experiments:results", 0, -1))) == 1
    assert client.llen("experiments:results") == 3


# ---------------------------------------------------------------------- for how long
def age(world: World, seconds: float) -> None:
    """Set the age of all deliveries."""
    client, then = connect(world.settings.redis_url or ""), timestamp_before(seconds)
    for name in client.hkeys(SENT):
        client.hset(SENT, name, then)
    with world.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET delivered_at = ?", (then,))


def test_what_was_delivered_long_ago_leaves_no_marker_and_is_not_missed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """They grew for ever; and a marker that goes before its result is forgotten would bring the result again."""
    end(world)
    age(world, MARKED_S + 60)
    world.intake.ingest(BAD)
    deliver_results(world.settings, world.state)
    assert forget_deliveries(world.settings) == 1
    assert forget_deliveries(world.settings) == 0
    assert deliver_lost(world.settings, world.state) == 0
    assert len(world.results()) == 2
    assert "older state" not in caplog.text


def test_the_marker_of_what_is_still_compared_stays(world: World) -> None:
    end(world)
    age(world, MARKED_S - 60)
    assert forget_deliveries(world.settings) == 0


def test_a_marker_without_a_time_counts_from_now(world: World) -> None:
    """An earlier version wrote `1`: taken for old, all results of the last days would come again."""
    end(world)
    client = connect(world.settings.redis_url or "")
    (name,) = client.hkeys(SENT)
    client.hset(SENT, name, "1")
    before = timestamp().encode()
    assert forget_deliveries(world.settings) == 0
    noted = client.hget(SENT, name)
    assert noted is not None
    assert noted >= before
    assert deliver_lost(world.settings, world.state) == 0
