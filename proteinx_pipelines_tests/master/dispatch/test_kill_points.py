"""SIGKILL of the Master between any two steps: the next one ends every job with exactly one result.

A point is a call on the wire or a commit; the process "dies" before or after it, and a new dispatcher starts on the
same database and the same Redis.
"""

import json
from typing import Any

import pytest

from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch import dispatcher
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines_tests.master.dispatch.conftest import World

JOBS = 4
STEPS = (
    (Wire, "push"), (Wire, "drop_results"), (Wire, "take_back"), (Wire, "ask_to_cancel"), (Database, "write"),
    (MasterLine, "deliver"),
)  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Ends the process at one call, before or after it."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.is_on = True

    def wrap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._maybe()
            value = real(*args, **kwargs)
            self._maybe()
            return value

        return call

    def _maybe(self) -> None:
        if self.is_on:
            self.left -= 1
            if self.left == 0:
                self.is_on = False
                raise Killed


@pytest.mark.parametrize("at", range(1, 46, 4))
def test_a_master_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    node = world.node("n1")
    world.round()
    message = {"experiment_id": "direct", "flags": {"data": {"source": "GB1"}}, "message_id": "mine"}
    world.client.lpush("experiments", json.dumps(message))
    ids = [world.job(f"e-{number}", priority=number) for number in range(JOBS)]
    killer = Killer(at)
    killer.wrap(monkeypatch)
    for turn in range(60):
        if turn == 30:  # as if half a minute had passed
            monkeypatch.setattr(dispatcher, "UNHEARD_S", 0.0)
            monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_S", 0.0)
        try:
            world.claim()
            world.round()
            if turn == 1:
                killer.is_on, was_on = False, killer.is_on
                world.change(ids[0], cancel_requested=True)
                killer.is_on = was_on
            node.work()
        except Killed:
            world.restart()
        if turn > 8 and all(row["state"] in ENDED for row in world.rows()):
            break
    world.claim()
    world.round(3)
    killer.is_on = False
    assert [row["state"] for row in world.rows() if row["job_id"] != ids[0]] == ["SUCCEEDED"] * JOBS
    assert world.row(ids[0])["state"] in ("SUCCEEDED", "CANCELLED")
    executed = [text.split("/")[0] for text in node.executed]
    assert sorted(executed) == sorted(set(executed)), "executed twice"
    results = [json.loads(raw) for raw in world.client.lrange("experiments:results", 0, -1)]
    assert [result["message_id"] for result in results] == ["mine"]
    assert world.client.llen(node.keys.all_results) == 0
    assert world.client.llen("experiments:processing:master") == 0
