"""Which nodes can take a job, and the reason in words when none can."""

from typing import Any

import pytest

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.dispatch.placement import able, needs_of, signature
from proteinx_pipelines.master.nodes.node import Node
from proteinx_pipelines_tests.master.dispatch.conftest import World

SMALL = {"name": "onehot", "weights": "none"}
ESM = "esm2_t6_8M_UR50D"


def node(name: str, **more: Any) -> Node:
    capabilities = {
        "node": name, "time": "2026-01-01T00:00:00.000+00:00", "models": ["ridge"], "metrics": ["spearman"],
        "embedders": [SMALL], "memory_total_bytes": 16e9, "cpu_count": 4, **more,
    }  # fmt: skip
    return Node(name, False, "", "", False, None, f"experiments:{name}", {}, capabilities, {})


def row(needs: dict[str, Any] | None = None, payload_ref: str | None = None, **flags: Any) -> dict[str, Any]:
    given = {"data.source": "GB1", "evaluate.metrics": ["spearman"], **flags}
    return {"flags": parse_flags(given).nested(), "needs": needs, "payload_ref": payload_ref}


def names(found: tuple[list[Node], str]) -> list[str]:
    return [each.name for each in found[0]]


@pytest.mark.parametrize(
    ("needs", "flags", "reason"),
    [
        ({"labels": ["a100"]}, {}, "needs label a100: no node has it"),
        ({"gpu": 1}, {}, "needs 1 GPU: no node has it"),
        ({"memory_gb": 64}, {}, "needs 64 GB of memory: no node has it"),
        (None, {"run.needs.cpus": 16}, "needs 16 processors: no node has it"),
        (
            None,
            {"run.needs.gpu": 2, "run.needs.gpu_memory_gb": 40.0},
            "needs 2 GPUs of 40 GB: no node has it",
        ),
        (None, {"model.name": "gp"}, "needs model gp: no node has it"),
        (None, {"embedding.name": "blosum62"}, "needs embedder blosum62: no node has it"),
        (None, {"evaluate.metrics": ["pearson"]}, "needs metric pearson: no node has it"),
        ({"gpu": 1, "labels": ["x"]}, {}, "needs label x, 1 GPU: no node has them"),
    ],
)
def test_what_no_node_has_is_named(needs: Any, flags: dict[str, Any], reason: str) -> None:
    assert able(row(needs, **flags), [node("a"), node("b")]) == ([], reason)


def test_a_file_of_a_store_is_for_nodes_that_have_the_store() -> None:
    """A node of an older program does not say; it may have it."""
    nodes = [node("none", stores=[]), node("other", stores=["s3://b/else"]), node("it", stores=["s3://b/in"])]
    by_payload, by_flag = row(payload_ref="s3://b/in/x.csv"), row(**{"data.structure": "s3://b/in/x.csv"})
    for asked in (by_payload, by_flag):
        assert names(able(asked, [*nodes, node("old")])) == ["it", "old"]
        assert able(asked, nodes[:2])[1] == "needs the store of s3://b/in/x.csv: no node has it"
    assert signature(by_payload) != signature(by_flag) != signature(row())


def test_two_nodes_that_have_half_of_it_each_are_told_apart() -> None:
    nodes = [node("a", labels=["x"]), node("b", gpus=[{"name": "g", "memory_total_bytes": 80e9}])]
    assert able(row({"gpu": 1, "labels": ["x"]}), nodes)[1] == (
        "no node has all that it needs: a lacks 1 GPU; b lacks label x"
    )


def test_the_larger_of_two_needs_counts_and_labels_add_up() -> None:
    found = needs_of(row({"gpu": 1, "labels": ["x"]}, **{"run.needs.gpu": 4, "run.needs.labels": ["y"]}))
    assert (found.gpu, found.labels) == (4, ("y", "x"))


def test_weights_and_sources_that_are_there_go_first_and_missing_ones_do_not_keep_a_job_waiting() -> None:
    here = node("here", embedders=[{"name": ESM, "weights": "here"}], sources=["other"])
    absent = node("absent", embedders=[{"name": ESM, "weights": "absent"}], sources=["GB1"])
    wanted = {"embedding.name": ESM}
    assert names(able(row(**wanted), [here, absent])) == ["absent"]  # without the data it would fail
    assert names(able(row(payload_ref="px://sha256/0", **wanted), [here, absent])) == ["here"]
    assert names(able(row(**{**wanted, "data.source": "nowhere"}), [here, absent])) == ["here"]


def test_a_resubmitted_experiment_goes_to_the_node_that_has_its_directory(world: World) -> None:
    left = world.node("left")
    first = world.job("known")
    world.round()
    assert left.work()
    world.round()
    world.node("right")
    left.die()
    again = world.job("known", flags={"run": {"allow_duplicate": True}})
    world.round(2)
    row = world.row(again)
    assert (row["state"], row["reason"]) == (
        "WAITING",
        "waits for node left, which has its directory and is not there now",
    )
    left.beat()
    world.round(2)
    assert world.row(again)["node"] == world.row(first)["node"] == "left"


def test_when_that_node_is_gone_for_good_another_one_computes_it_anew(world: World) -> None:
    left = world.node("left")
    world.job("known")
    world.round()
    assert left.work()
    world.round()
    left.die()
    world.node("right")
    world.round()
    world.master.database.write(
        lambda c: (
            c.exec_driver_sql(
                "UPDATE nodes SET lost_at = '2020-01-01T00:00:00.000+00:00' WHERE is_lost"
            ).rowcount
        )
    )
    again = world.job("known", flags={"run": {"allow_duplicate": True}})
    world.round()
    row = world.row(again)
    assert row["node"] == "right"
    assert row["reason"] == "node left, which had its directory, is gone: everything is computed anew"


@pytest.mark.parametrize(
    ("is_drained", "has_store", "reason"),
    [
        (False, True, "node left, which had its directory, is gone: it comes from the store"),
        (True, True, "node left, which has its directory, is drained: it comes from the store"),
        (True, False, None),
    ],
)
def test_where_nodes_share_a_store_the_directory_comes_along(
    world: World, is_drained: bool, has_store: bool, reason: str | None
) -> None:
    left = world.node("left")
    world.job("known")
    world.round()
    assert left.work()
    world.round()
    world.node("right")
    world.dispatcher.assigner.has_store = has_store
    if is_drained:
        world.change_nodes("UPDATE nodes SET is_drained = TRUE WHERE name = 'left'")
    else:
        left.die()
        world.round()
        world.change_nodes("UPDATE nodes SET lost_at = '2020-01-01T00:00:00.000+00:00' WHERE is_lost")
    again = world.job("known", flags={"run": {"allow_duplicate": True}})
    world.round()
    row = world.row(again)
    if reason is None:  # the twin: without a store it waits for its home
        assert (row["state"], row["node"]) == ("WAITING", None)
        assert "is drained" in row["reason"]
    else:
        assert (row["node"], row["reason"]) == ("right", reason)


def test_a_known_experiment_that_may_not_be_repeated_is_refused(world: World) -> None:
    node = world.node("n1")
    world.job("known")
    world.round()
    assert node.work()
    world.round()
    again = world.job("known")
    world.round()
    row = world.row(again)
    assert (row["state"], row["error_code"]) == ("REJECTED", "duplicate")


def test_one_experiment_is_worked_on_by_one_job_at_a_time(world: World) -> None:
    world.node("n1")
    world.node("n2")
    ids = [world.job("same", flags={"run": {"allow_duplicate": True}}) for _ in range(2)]
    world.round(3)
    assert [world.row(job)["state"] for job in ids] == ["ASSIGNED", "WAITING"]


def test_what_is_due_first_goes_first_within_a_priority(world: World) -> None:
    late = world.job(deadline="2030-01-01T00:00:00+00:00")
    soon = world.job(flags={"run": {"slo_s": 60.0}})
    never = world.job()
    high = world.job(priority=1)
    node, order = world.node("n1"), []
    for _ in range(4):
        world.round(2)
        message = node.claim()
        assert message is not None
        order.append(message["message_id"].split("/")[0])
        node.finish(message)
    assert order == [high, soon, late, never]
