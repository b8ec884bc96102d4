"""The thread of dispatch: at once when something happens, and not a hundred times a second when much does."""

import contextlib
import dataclasses
import itertools
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proteinx_pipelines.master.dispatch import service
from proteinx_pipelines.master.dispatch.dispatcher import Dispatcher
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.dispatch.conftest import World
from proteinx_pipelines_tests.waiting import wait_until

CLOCK_S = 0.002
"""By which a wait may end early."""


def test_commits_side_by_side_are_one_round(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incident: every commit of a burst of jobs had a round of its own, a tenth of what a job costs."""
    dispatch = service.Dispatch(master)
    begun: list[float] = []

    class Rounds:
        """A dispatcher that has nothing to do, while a commit rings in each of its rounds."""

        is_busy = False

        def __init__(self, *_given: Any) -> None:
            self.heard: list[Any] = []

        def hear(self, reports: list[Any]) -> None:
            self.heard += reports

        def round(self) -> bool:
            begun.append(dispatch._round_at)
            dispatch._rung.set()
            return False

    monkeypatch.setattr(service, "Dispatcher", Rounds)
    monkeypatch.setattr(dispatch, "wire", lambda: SimpleNamespace(client=contextlib.nullcontext()))
    dispatch.listener = cast("Any", SimpleNamespace(take=list))
    thread = threading.Thread(target=dispatch._dispatch)
    thread.start()
    wait_until(lambda: len(begun) > 5, pause_s=0.01)
    dispatch.stopping.set()
    dispatch._rung.set()
    thread.join(60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert min(gaps) > service.LEAST_S - CLOCK_S


class Waits:
    """Stands for the event that ends a pause: time passes without anybody ringing, until it has passed."""

    def __init__(self, dispatch: service.Dispatch, longest_s: float) -> None:
        self._dispatch, self._left = dispatch, longest_s

    def wait(self, seconds: float) -> bool:
        self._left -= max(0.0, seconds)
        if self._left <= 0:
            self._dispatch.stopping.set()
        return self._dispatch.stopping.is_set()

    def clear(self) -> None:
        pass

    set = clear


def rounds_of_a_minute(master: Master, monkeypatch: pytest.MonkeyPatch, world: World) -> int:
    """Rounds that dispatch makes in a minute in which nothing happens, on a real database and a real Redis."""
    dispatch, rounds = service.Dispatch(master), list[None]()

    class Counted(Dispatcher):
        def round(self) -> bool:
            rounds.append(None)
            super().round()
            return False  # a first look at what was there before is no reason to hurry

    monkeypatch.setattr(service, "Dispatcher", Counted)
    monkeypatch.setattr(dispatch, "wire", lambda: dataclasses.replace(world.dispatcher.wire))
    dispatch.listener = cast("Any", SimpleNamespace(take=list))
    dispatch._rung = cast("Any", Waits(dispatch, 60.0))
    dispatch._dispatch()
    return len(rounds)


def test_looks_are_rare_while_no_job_is_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds a second, all day, were most of what an idle Master did."""
    master = world.master
    world.node("n1")
    assert rounds_of_a_minute(master, monkeypatch, world) <= 60 / service.QUIET_S + 2
    world.job("waits", needs={"labels": ["absent"]})
    assert rounds_of_a_minute(master, monkeypatch, world) >= 60 / service.IDLE_S - 2
