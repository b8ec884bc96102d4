"""A random life of a queue: nodes die and come back, the Master dies, people move, hold, cancel; three promises hold.

Every job ends with exactly one result. What goes to a node is the first of what waits, always. A job is executed once,
unless its node was away longer than the lease. With a guard off, a promise breaks.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.dispatch import dispatcher
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.jobs import verbs
from proteinx_pipelines.master.jobs.order import ordered
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines_tests.master.dispatch.conftest import World

TURNS = 60
NODES = ("n1", "n2", "n3")


@dataclass
class Life:
    """One random life; `problems` are broken promises, in words."""

    world: World
    seed: int
    problems: list[str] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    held_up: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Node -> message that it has claimed and not finished."""
    given_up: set[str] = field(default_factory=set)
    """Jobs whose node was away longer than the lease."""
    dead: set[str] = field(default_factory=set)

    def live(self) -> list[str]:
        """All of it; returns the problems."""
        chance = random.Random(self.seed)
        for name in NODES:
            self.world.node(name)
        self.world.round()
        for _ in range(TURNS):
            chance.choice(self._acts())(chance)
            self._step()
            if self.problems:
                return self.problems
        self._end()
        return self.problems

    def _acts(self) -> list[Callable[[random.Random], None]]:
        return [
            self._create, self._create, self._create, self._work, self._work, self._work, self._claim, self._verb,
            self._verb, self._die, self._come_back, self._pass_lease, self._restart,
        ]  # fmt: skip

    # ------------------------------------------------------------------ what happens
    def _create(self, chance: random.Random) -> None:
        self.world.job(priority=chance.randint(0, 3))

    def _work(self, chance: random.Random) -> None:
        """A node finishes what it has claimed, or claims and finishes."""
        name = chance.choice(NODES)
        if name in self.dead:
            return
        node = self.world.nodes[name]
        message = self.held_up.pop(name, None) or node.claim()
        if message is not None:
            is_cancelled = message["experiment_id"] in node.cancels()
            node.finish(message, "CANCELLED" if is_cancelled else "SUCCEEDED")

    def _claim(self, chance: random.Random) -> None:
        name = chance.choice(NODES)
        if name not in self.dead and name not in self.held_up:
            message = self.world.nodes[name].claim()
            if message is not None:
                self.held_up[name] = message

    def _verb(self, chance: random.Random) -> None:
        found = [row["job_id"] for row in self.world.rows()]
        if not found:
            return
        one, other = chance.choice(found), chance.choice(found)
        change = chance.choice(
            [
                lambda c: verbs.set_priority(c, one, chance.randint(0, 3)),
                lambda c: verbs.move(c, one, before=other),
                lambda c: verbs.hold(c, one, caller="test"),
                lambda c: verbs.release(c, one),
                lambda c: verbs.cancel(c, one, caller="test"),
            ]
        )
        try:
            self.world.master.database.write(change)
        except InputError:
            return  # it had ended, or a node has it

    def _die(self, chance: random.Random) -> None:
        name = chance.choice(NODES)
        self.world.nodes[name].die()
        self.dead.add(name)

    def _come_back(self, _chance: random.Random) -> None:
        for name in self.dead:
            self.world.nodes[name].beat()
        self.dead.clear()

    def _pass_lease(self, chance: random.Random) -> None:
        """The lease of what is dead ends."""
        if self.dead and chance.random() < 0.5:
            self.given_up |= {row["job_id"] for row in self.world.rows() if row["node"] in self.dead}
            self.world.master.database.write(
                lambda c: (
                    c.exec_driver_sql(
                        "UPDATE nodes SET lost_at = '2020-01-01T00:00:00.000+00:00' WHERE is_lost"
                    ).rowcount
                )
            )

    def _restart(self, _chance: random.Random) -> None:
        self.world.restart()

    # ------------------------------------------------------------------ what must hold
    def _step(self) -> None:
        before = {row["job_id"]: row for row in self.world.rows()}
        self.world.round()
        with self.world.master.database.reading() as connection:
            line = [
                row["job_id"]
                for row in rows(connection, ordered(select(jobs)))
                if row["state"] in ("WAITING", "ASSIGNED")
            ]
            after = {row["job_id"]: row for row in self.world.rows()}
        given = [
            name for name in line if after[name]["state"] == "ASSIGNED" and before[name]["state"] == "WAITING"
        ]
        overtaken = [name for name in line if before[name]["state"] == after[name]["state"] == "WAITING"]
        if given and overtaken and line.index(overtaken[0]) < line.index(given[-1]):
            self.problems.append(f"{given[-1]} went before {overtaken[0]}")
        for name, row in after.items():
            ended_before = before.get(name, {}).get("state") in ENDED
            if row["state"] in ENDED and not ended_before:
                self.results[name] += 1
            if ended_before and (row["state"], row["result"]) != (
                before[name]["state"],
                before[name]["result"],
            ):
                self.problems.append(f"{name} ended again")

    def _end(self) -> None:
        self._come_back(random.Random(0))
        for row in self.world.rows():
            if row["state"] == "HELD":
                self.world.master.database.write(lambda c, row=row: verbs.release(c, row["job_id"]))
        for _ in range(100):
            self._step()
            for name in NODES:
                self.world.nodes[name].beat()
                self._work_at(name)
            if all(row["state"] in ENDED for row in self.world.rows()):
                break
        self._step()
        found = self.world.rows()
        self.problems += [f"{row['job_id']} is {row['state']}" for row in found if row["state"] not in ENDED]
        self.problems += [f"{name} has {count} results" for name, count in self.results.items() if count != 1]
        executed = Counter(text.split("/")[0] for node in self.world.nodes.values() for text in node.executed)
        self.problems += [
            f"{name} was executed {count} times"
            for name, count in executed.items()
            if count > 1 and name not in self.given_up
        ]

    def _work_at(self, name: str) -> None:
        node = self.world.nodes[name]
        message = self.held_up.pop(name, None) or node.claim()
        if message is not None:
            node.finish(message, "CANCELLED" if message["experiment_id"] in node.cancels() else "SUCCEEDED")


@pytest.fixture(autouse=True)
def time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at again after a while is looked at in every round."""
    monkeypatch.setattr(dispatcher, "UNHEARD_S", 0.0)
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_S", 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_promises_hold(world: World, seed: int) -> None:
    assert Life(world, seed).live() == []


def lives(world: World, seeds: int) -> list[str]:
    """Problems of the first life that has some."""
    for seed in range(seeds):
        world.empty()
        found = Life(world, seed).live()
        if found:
            return found
    return []


@pytest.mark.slow
def test_without_the_look_at_the_list_a_claimed_job_is_executed_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "take_back", lambda *_: True)
    assert any("executed" in problem for problem in lives(world, 6))


@pytest.mark.slow
def test_without_the_order_a_job_overtakes_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "proteinx_pipelines.master.dispatch.assigning.ordered", lambda query: query.order_by(jobs.c.number)
    )
    assert any("went before" in problem for problem in lives(world, 6))


@pytest.mark.slow
def test_without_the_lease_a_node_that_is_away_for_a_moment_has_its_job_done_twice(world: World) -> None:
    world.lease_s = -1.0
    assert any("executed" in problem for problem in lives(world, 6))
