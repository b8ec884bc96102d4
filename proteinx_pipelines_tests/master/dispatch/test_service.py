"""The thread of dispatch: at once when something happens, and not a hundred times a second when much does."""

import contextlib
import itertools
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proteinx_pipelines.master.dispatch import service
from proteinx_pipelines.master.master import Master
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
