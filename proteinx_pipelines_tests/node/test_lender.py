"""A node gives its machine to another node's training, as long as its Master says so, and no longer."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.node.lifecycle import lender as lending_out
from proteinx_pipelines.node.lifecycle.capabilities import capabilities_of
from proteinx_pipelines.node.lifecycle.lender import MODULE, Lender
from proteinx_pipelines.node.processes.joining import meeting_of
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train.meeting import ADDRESS, ARRANGED, PORT, Place, arranged_place
from proteinx_pipelines_tests.node.world import World
from proteinx_pipelines_tests.waiting import wait_until

KEY = "experiments:lent"
FIRST = Lending(experiment_id="many", job_id="j-1", address="127.0.0.1:9")
SECOND = FIRST.model_copy(update={"experiment_id": "more"})


def processes(of: int | None = None) -> list[psutil.Process]:
    """What takes part in trainings, below a process (this one)."""
    found = []
    for each in psutil.Process(of).children(recursive=True):
        try:
            if MODULE in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def lender(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lender]:
    monkeypatch.setattr(lending_out, "LOOK_S", 0.05)
    settings.workdir.mkdir(parents=True, exist_ok=True)
    found, stopping = Lender(settings), threading.Event()
    thread = threading.Thread(target=found.run, args=(stopping,))
    thread.start()
    yield found
    stopping.set()
    thread.join()
    assert processes() == [], "they end with the agent"


def test_a_node_follows_what_its_master_says_and_survives_what_goes_away(
    lender: Lender, settings: Settings
) -> None:
    client = connect(settings.redis_url or "")
    client.set(KEY, FIRST.to_json())
    wait_until(lambda: processes())
    (first,) = processes()
    assert first.cmdline()[-2:] == ["127.0.0.1:9", "many"]
    client.set(KEY, "not a lending")  # as good as none
    wait_until(lambda: not first.is_running())
    client.set(KEY, SECOND.to_json())
    wait_until(lambda: [each.cmdline()[-1] for each in processes()] == ["more"])
    client.delete(KEY)
    wait_until(lambda: not processes())
    wait_until(lambda: lender.lending is None)  # its process ends a moment before


def test_ranks_that_have_ended_are_started_again_while_the_master_wants_them(
    lender: Lender, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lending_out, "AGAIN_S", 0.1)
    connect(settings.redis_url or "").set(KEY, FIRST.to_json())
    wait_until(lambda: processes())
    before = processes()[0]
    before.kill()
    wait_until(lambda: processes() and processes()[0].pid != before.pid)


HOLDER = f"""
import sys, time
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.node.lifecycle.lender import Lender
from proteinx_pipelines.settings import load_settings
Lender(load_settings()).follow(Lending.model_validate_json('{FIRST.to_json()}'))
print("lent", flush=True)
time.sleep(600)
"""


def test_ranks_end_with_an_agent_that_is_killed(settings: Settings) -> None:
    settings.workdir.mkdir(parents=True, exist_ok=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PROTEINX_WORKDIR": str(settings.workdir)},
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "lent\n"
        wait_until(lambda: processes(holder.pid))  # it has its name once its program has begun
        (rank,) = processes(holder.pid)
        # It reads whether its parent lives once it has begun: before that, there is nothing to end.
        log = settings.paths.part_log("lending")
        wait_until(lambda: "Asking at" in log.read_text(encoding="utf-8"))
    finally:
        holder.kill()
        holder.wait()
    wait_until(lambda: not is_alive(rank))


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_node_that_is_lent_is_busy(world: World) -> None:
    agent = Agent(world.settings, world.state, world.runs)
    agent.lender.lending = FIRST
    assert agent.beat()
    beat: Any = connect(world.settings.redis_url or "").get("nodes/test-node/heartbeat")
    assert b'"state": "busy"' in beat or b'"state":"busy"' in beat


def test_a_place_to_meet_is_chosen_towards_redis_and_one_that_is_set_stays(settings: Settings) -> None:
    own = Place.of(meeting_of(settings, settings.redis_url)[ARRANGED])
    assert (own.host, 1024 < own.port < 65535) == ("127.0.0.1", True)
    set_by_hand = replace(settings, meeting="10.0.0.7:29500")
    assert meeting_of(set_by_hand, settings.redis_url) == {ARRANGED: "10.0.0.7:29500"}
    assert meeting_of(settings, "redis://no-such-host.invalid:6379/0") == {}


def test_an_operator_who_lends_machines_goes_before_the_master(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ARRANGED, "10.0.0.7:29500")

    def known() -> Capabilities:
        return capabilities_of(replace(settings, meeting="10.0.0.7:29500"), ())

    assert (known().meeting, known().is_lent_by_hand) == ("10.0.0.7:29500", False)
    assert arranged_place(2) == Place("10.0.0.7", 29500)
    monkeypatch.setenv(ADDRESS, "10.0.0.8")
    monkeypatch.setenv(PORT, "29600")
    assert (known().meeting, known().is_lent_by_hand) == (None, True)
    assert arranged_place(2) == Place("10.0.0.8", 29600)
