"""The client and a node on one Redis: each answers the other's messages."""

import json
import threading

import pytest

from proteinx_pipelines.client import Client, QueueClient
from proteinx_pipelines.contract.keys import QueueKeys
from proteinx_pipelines.errors import FlagError, InputError, MessageError, NotInTime, QueueUnavailable
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.node.world import World
from proteinx_pipelines_tests.waiting import wait_until

FLAGS = {"data.source": "GB1", "model.name": "ridge"}


@pytest.fixture
def client(world: World):
    with Client(world.settings.redis_url, name="notebook") as made:
        yield made


def take_and_finish(world: World, experiment_id: str, outcome: Outcome | None = None) -> None:
    """The node's part: takes what waits and ends one experiment."""
    world.intake.take_waiting()
    current = world.latest(experiment_id)
    finish_generation(
        world.settings, world.state, current, outcome or Outcome("SUCCEEDED", summary={"test/mse": 0.5})
    )


def test_an_experiment_is_sent_followed_and_answered_on_a_list_of_its_own(
    world: World, client: Client
) -> None:
    sent = client.submit(FLAGS, priority=3)
    assert sent.experiment_id.startswith("gb1-ridge-")
    assert client.status(sent.experiment_id) is None
    world.intake.take_waiting()
    status = client.status(sent.experiment_id)
    assert status is not None
    assert (status.state, status.node, status.generation) == ("PENDING", world.settings.node_name, 1)
    take_and_finish(world, sent.experiment_id)
    result = client.wait(sent, timeout_s=5)
    assert (result.status, result.message_id, result.summary) == (
        "SUCCEEDED",
        sent.message_id,
        {"test/mse": 0.5},
    )
    assert world.results() == []  # a Master that waits for its own results does not get this one


def test_waiting_shows_each_change_of_the_status_once(world: World, client: Client) -> None:
    sent = client.submit(FLAGS)
    world.intake.take_waiting()
    seen = []

    def later() -> None:
        wait_until(lambda: seen)
        take_and_finish(world, sent.experiment_id)

    thread = threading.Thread(target=later)
    thread.start()
    assert client.wait(sent, timeout_s=30, on_progress=seen.append).status == "SUCCEEDED"
    thread.join()
    assert seen[0].state == "PENDING"
    assert len(seen) == len({status.to_json() for status in seen})


def test_results_of_several_experiments_are_told_apart_whatever_their_order(
    world: World, client: Client
) -> None:
    first, second, third = (client.submit(FLAGS, experiment_id=name) for name in "abc")
    for name in ("c", "b", "a"):
        take_and_finish(world, name)
    assert client.wait(first, 5).experiment_id == "a"
    assert client.wait(third, 5).experiment_id == "c"
    assert [result.message_id for result in client.results()] == [second.message_id]


def test_a_client_that_is_started_again_under_its_name_finds_what_came_meanwhile(world: World) -> None:
    with Client(world.settings.redis_url, name="batch") as before:
        sent = before.submit(FLAGS, experiment_id="a")
    take_and_finish(world, "a")
    with Client(world.settings.redis_url, name="batch") as after:
        assert after.wait(sent, 5).experiment_id == "a"


def test_the_same_message_again_is_answered_and_not_run_again(world: World, client: Client) -> None:
    sent = client.submit(FLAGS, experiment_id="a", message_id="m-1")
    take_and_finish(world, "a")
    first = client.wait(sent, 5)
    again = client.submit(FLAGS, experiment_id="a", message_id="m-1")
    world.intake.take_waiting()
    assert client.wait(again, 5).result_id == first.result_id


def test_a_cancelled_experiment_says_so(world: World, client: Client) -> None:
    sent = client.submit(FLAGS, experiment_id="a")
    world.intake.take_waiting()
    client.cancel("a")
    world.stopper.take_cancels()
    world.stopper.end_cancelled()
    result = client.wait(sent, 5)
    assert (result.status, result.error and result.error.code) == ("CANCELLED", "cancelled")


def test_what_the_sender_can_see_to_be_wrong_is_not_sent(world: World, client: Client) -> None:
    with pytest.raises(FlagError, match=r"`train\.lr`.*\n.*learnin_rate"):
        client.submit({**FLAGS, "train": {"lr": -1, "learnin_rate": 1}})
    with pytest.raises(MessageError, match="experiment_id"):
        client.submit(FLAGS, experiment_id="../a")
    with pytest.raises(MessageError, match="experiment_id"):
        client.cancel("../a")
    assert world.intake.queue.waiting() == 0


def test_a_name_that_the_node_does_not_have_is_refused_with_those_that_it_has(
    world: World, client: Client
) -> None:
    """The sender cannot know: the node may have a plugin that it has not."""
    sent = client.submit(
        {**FLAGS, "evaluate.metrics": ["lab_score"], "embedding.name": "lab_vectors", "model.name": "gpt"}
    )
    world.intake.take_waiting()
    result = client.wait(sent, 5)
    assert (result.status, result.error and result.error.code) == ("REJECTED", "bad_flags")
    said = result.error.message if result.error else ""
    assert "unknown metric 'lab_score'; the metrics are mae, mse, ndcg" in said
    assert "unknown 'lab_vectors'; expected one of onehot, blosum62" in said
    assert "unknown model 'gpt'" in said
    assert "the models are ridge, ridge_cv" in said


def test_the_nodes_that_live_say_what_they_can_do(world: World, client: Client) -> None:
    assert client.nodes() == {}
    assert Agent(world.settings, world.state, world.runs).beat()
    ((name, node),) = client.nodes().items()
    assert (name, node.heartbeat.state) == (world.settings.node_name, "idle")
    assert node.capabilities is not None
    assert "spearman" in node.capabilities.metrics
    connect(world.settings.redis_url or "").delete(f"nodes/{name}/capabilities")
    assert client.nodes()[name].capabilities is None


def test_waiting_ends_in_time_and_says_how_it_stands(world: World, client: Client) -> None:
    sent = client.submit(FLAGS, experiment_id="a")
    with pytest.raises(NotInTime, match=r"a has no result after 0\.2 s: no node listens on this queue now"):
        client.wait(sent, 0.2)
    Agent(world.settings, world.state, world.runs).beat()
    with pytest.raises(NotInTime, match="no node has taken it yet"):
        client.wait(sent, 0.2)
    world.intake.take_waiting()
    with pytest.raises(NotInTime, match="it is PENDING, stage selection, on node"):
        client.wait(sent, 0.2)
    take_and_finish(world, "a")
    assert client.wait(sent, 5).status == "SUCCEEDED"


def test_a_result_of_another_client_stays_on_its_list(world: World, client: Client) -> None:
    with Client(world.settings.redis_url, name="other") as other:
        sent = other.submit(FLAGS, experiment_id="a")
        take_and_finish(world, "a")
        assert list(client.results()) == []
        assert other.wait(sent, 5).experiment_id == "a"
    key = QueueKeys().results("other")
    assert connect(world.settings.redis_url or "").llen(key) == 0


def test_addresses_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(InputError, match="set REDIS_URL"):
        Client()
    with pytest.raises(QueueUnavailable, match="redis://"):
        QueueClient("http://node-1")
    with pytest.raises(InputError, match="`name` is 'a b'"):
        Client("redis://127.0.0.1:1", name="a b")
    with Client("redis://127.0.0.1:1") as client, pytest.raises(QueueUnavailable, match="sending a message"):
        client.submit(FLAGS)


def test_flags_may_be_text(client: Client, world: World) -> None:
    sent = client.submit("data.source=GB1\nmodel.name=gp")
    assert json.loads(sent.message)["flags"]["model"]["name"] == "gp"
