"""Trainings on several nodes: all of them at once, nobody else's meanwhile, and another one in place of a lost one."""

from typing import Any

import pytest

from proteinx_pipelines.master.dispatch import crews
from proteinx_pipelines_tests.master.dispatch.conftest import World
from proteinx_pipelines_tests.master.dispatch.stand_in import StandIn

VERSIONS = {"proteinx-infra": "1", "torch": "2", "lightning": "3", "numpy": "4"}
ALIVE_S = 3600.0
"""Life of a heartbeat here: no test is about its end, and a busy machine takes its time."""
ONE = "needs 2 nodes that can train together: of those that are there, 1 can"
TOGETHER = {"model": {"name": "mlp"}, "trainer": {"num_nodes": 2}}


def fellow(world: World, name: str, address: str = "", **more: Any) -> StandIn:
    """A node that can train together with others."""
    address = address or f"10.0.0.{1 + len(world.nodes)}:29500"
    node = world.node(name, more={"meeting": address, "versions": VERSIONS, **more})
    node.beat(ALIVE_S)
    return node


def lent(world: World) -> dict[str, str]:
    """Node -> experiment that it is lent to, as the nodes themselves read it."""
    found = {name: node.lent() for name, node in world.nodes.items()}
    return {name: each["experiment_id"] for name, each in found.items() if each is not None}


def test_a_training_on_two_nodes_gets_both_at_once_and_gives_the_other_back_at_its_end(world: World) -> None:
    first, other = fellow(world, "a"), fellow(world, "b")
    job, later = world.job("many", flags=TOGETHER), world.job("later")
    world.round(2)
    row = world.row(job)
    assert (row["state"], row["node"], row["reason"]) == ("ASSIGNED", "a", "trains on a, b")
    assert other.lent() == {
        "experiment_id": "many", "job_id": job, "address": "10.0.0.1:29500", "schema_version": 1,
    }  # fmt: skip
    assert (first.lent(), other.claim()) == (None, None)
    assert world.row(later)["state"] == "WAITING", "a node that is lent gets no job"
    assert 0 < world.client.ttl(other.keys.lent) <= 600, "it ends by itself without a Master"
    world.restart()
    world.round()
    assert lent(world) == {"b": "many"}, "the Master was started again"
    assert first.work()
    world.round(2)
    assert world.row(job)["state"] == "SUCCEEDED"
    assert lent(world) == {}
    assert [event["node"] for event in world.events("node.returned")] == ["b"]
    assert world.row(later)["state"] == "ASSIGNED"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, "trains on a, b"),
        ({"versions": {**VERSIONS, "torch": "1"}}, ONE),
        ({"meeting": None}, ONE),
        ({"labels": ["x"]}, "trains on a, b"),
    ],
)  # fmt: skip
def test_nodes_of_a_training_have_the_same_versions_and_a_place_to_meet(
    world: World, other: dict[str, Any], reason: str
) -> None:
    fellow(world, "a")
    fellow(world, "b", **other)
    job = world.job("many", flags=TOGETHER)
    world.round()
    assert world.row(job)["reason"] == reason


def test_each_node_of_a_training_has_what_the_job_needs(world: World) -> None:
    fellow(world, "a", labels=["big"])
    fellow(world, "b")
    job = world.job("many", flags=TOGETHER, needs={"labels": ["big"]})
    world.round()
    assert world.row(job)["state"] == "WAITING"
    fellow(world, "c", labels=["big"])
    world.round()
    assert lent(world) == {"c": "many"} or lent(world) == {"a": "many"}


def test_a_model_without_epochs_needs_one_node_whatever_the_flag_says(world: World) -> None:
    world.node("old").beat(ALIVE_S)
    job = world.job("one", flags={"model": {"name": "ridge"}, "trainer": {"num_nodes": 2}})
    world.round()
    assert world.row(job)["node"] == "old"


def test_a_node_whose_operator_lends_machines_by_hand_gets_the_job_alone(world: World) -> None:
    world.node("by-hand", more={"is_lent_by_hand": True}).beat(ALIVE_S)
    fellow(world, "a")
    job = world.job("many", flags=TOGETHER)
    world.round()
    assert (world.row(job)["node"], lent(world)) == ("by-hand", {})


def test_a_node_that_only_its_own_machine_reaches_is_not_where_others_meet(world: World) -> None:
    fellow(world, "near", address="127.0.0.1:29500")
    fellow(world, "far", address="10.0.0.9:29500")
    job = world.job("many", flags=TOGETHER)
    world.round()
    assert (world.row(job)["node"], lent(world)) == ("far", {"near": "many"})


def test_while_a_node_works_others_are_kept_free_for_a_training_that_needs_both(world: World) -> None:
    fellow(world, "a"), fellow(world, "b")
    world.job("before")
    world.round()
    taken = next(row["node"] for row in world.rows())
    many, small = world.job("many", flags=TOGETHER), world.job("small")
    world.round(3)
    assert world.row(many)["reason"] == "waits until 2 nodes that can train together have nothing else to do"
    assert world.row(small)["state"] == "WAITING", "else small jobs would keep it waiting without end"
    assert world.nodes[taken].work()
    world.round(2)
    assert world.row(many)["state"] == "ASSIGNED"
    assert len(lent(world)) == 1


def test_nodes_are_kept_free_for_a_while_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fellow(world, "a"), fellow(world, "b")
    world.job("before")
    world.round()
    many, small = world.job("many", flags=TOGETHER), world.job("small")
    world.round()
    assert world.row(small)["state"] == "WAITING"
    monkeypatch.setattr(crews, "HOLD_S", -1.0)
    world.round()
    assert world.row(small)["state"] == "ASSIGNED", "its time is over"
    assert world.row(many)["state"] == "WAITING"


def test_two_trainings_that_need_the_same_nodes_go_one_after_the_other(world: World) -> None:
    """Each holding one of two nodes, they would wait for one another without end."""
    for name in "abc":
        fellow(world, name)
    jobs = [world.job(f"many-{n}", flags={**TOGETHER, "trainer": {"num_nodes": 2 + n % 2}}) for n in range(6)]
    for _ in range(30):
        world.round()
        running = [row for row in world.rows() if row["state"] == "ASSIGNED"]
        assert len(running) <= 1, "three nodes have room for one training of two or three"
        assert len(lent(world)) == sum(row["flags"]["trainer"]["num_nodes"] - 1 for row in running)
        for node in world.nodes.values():
            node.work()
    assert {world.row(job)["state"] for job in jobs} == {"SUCCEEDED"}


def test_a_lost_node_is_replaced_by_an_idle_one_and_gets_its_machine_back(world: World) -> None:
    fellow(world, "a"), fellow(world, "b")
    job = world.job("many", flags=TOGETHER)
    world.round(2)
    assert (world.row(job)["node"], lent(world)) == ("a", {"b": "many"})
    world.nodes["b"].die()
    world.round(2)
    assert lent(world) == {"b": "many"}, "there is no other: it may come back"
    fellow(world, "c")
    world.round(2)
    assert lent(world) == {"c": "many"}
    world.nodes["b"].beat(ALIVE_S)
    small = world.job("small")
    world.round(2)
    assert world.row(small)["node"] == "b"
    assert world.row(job)["token"] == 1, "the node of the experiment goes on"


def test_an_idle_node_is_kept_for_a_training_that_lost_one(world: World) -> None:
    for name in "abc":
        fellow(world, name)
    world.job("first")
    world.round()
    holder = next(row["node"] for row in world.rows())
    job = world.job("many", flags=TOGETHER)
    world.round(2)
    (lender,) = lent(world)
    smalls = [world.job(f"small-{n}") for n in range(3)]
    world.nodes[lender].die()
    world.round(2)
    assert world.nodes[holder].work()
    world.round(2)
    assert lent(world) == {holder: "many"}
    assert [world.row(small)["state"] for small in smalls] == ["WAITING"] * 3
    assert world.row(job)["state"] == "ASSIGNED"


@pytest.mark.parametrize("end", ["lost", "cancelled"])
def test_a_training_whose_node_is_lost_or_that_is_cancelled_gives_its_machines_back(
    world: World, end: str
) -> None:
    first, _ = fellow(world, "a"), fellow(world, "b")
    job = world.job("many", flags=TOGETHER)
    world.round(2)
    assert first.claim() is not None
    if end == "cancelled":
        world.change(job, cancel_requested=True)
        world.round()
        first.finish({"message_id": f"{job}/1", "experiment_id": "many"}, "CANCELLED")
        world.round(2)
        assert lent(world) == {}
        return
    first.die()
    world.round()
    world.change_nodes("UPDATE nodes SET lost_at = '2020-01-01T00:00:00.000+00:00' WHERE is_lost")
    fellow(world, "c")
    world.round(3)
    row = world.row(job)
    assert row["node"] in ("b", "c"), "another crew, of those that are there"
    assert (row["token"], len(lent(world))) == (2, 1)
    assert row["node"] not in lent(world)
