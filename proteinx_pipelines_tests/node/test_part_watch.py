"""Parts that live and make no progress, as the supervisor sees them: real processes, a clock set by the test."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.node.lifecycle.suspects import MOST_DEATHS, Suspects
from proteinx_pipelines.node.processes import supervisor as supervising
from proteinx_pipelines.node.processes.part_watch import FROZEN_S, PartWatch
from proteinx_pipelines.node.processes.ready_parts import mark_ready, silence_s
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.node.world import is_gone


class Watched:
    """A watch, its clock, and what it says of one part."""

    def __init__(self, settings: Settings) -> None:
        self.now = 0.0
        self.settings = settings
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        self.watch = PartWatch(settings, clock=lambda: self.now)

    def stuck(self, part: str, pid: int, after: float) -> list[str]:
        self.now += after
        return [found for found, _ in self.watch.stuck({part: pid})]


@pytest.fixture
def watched(settings: Settings) -> Watched:
    return Watched(settings)


@pytest.mark.parametrize("part", ["agent", "daemon", "worker", "host", "code-server", "web", "redis"])
def test_a_part_that_is_stopped_is_stuck(
    watched: Watched, step_process: Callable[[], int], part: str
) -> None:
    pid = step_process()
    os.kill(pid, signal.SIGSTOP)
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        pass
    assert watched.stuck(part, pid, 0) == []
    assert watched.stuck(part, pid, FROZEN_S - 1) == []
    assert watched.stuck(part, pid, 2) == [part]


def test_a_part_that_is_continued_in_time_is_not(watched: Watched, step_process: Callable[[], int]) -> None:
    pid = step_process()
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP):
        os.kill(pid, number)
        wanted = psutil.STATUS_STOPPED if number == signal.SIGSTOP else psutil.STATUS_SLEEPING
        while psutil.Process(pid).status() != wanted:
            pass
        assert watched.stuck("agent", pid, FROZEN_S - 10) == []


@pytest.mark.parametrize("part", ["agent", "daemon"])
def test_a_part_that_lives_and_gives_no_sign_is_stuck(watched: Watched, part: str) -> None:
    limit, path = watched.settings.stall_limit_s, watched.settings.paths.running(part)
    mark_ready(watched.settings, part)
    for k in range(5):
        os.utime(path, ns=(k, k))
        assert watched.stuck(part, os.getpid(), limit - 1) == []
    assert watched.stuck(part, os.getpid(), limit + 1) == [part]


def test_the_time_of_day_does_not_matter(watched: Watched) -> None:
    """A clock that is put forward or back by hours changes the time of the file, and not how long it has been so."""
    mark_ready(watched.settings, "agent")
    for hours in (2, -2, 1000):
        os.utime(watched.settings.paths.running("agent"), (hours * 3600.0, hours * 3600.0))
        assert watched.stuck("agent", os.getpid(), 1) == []


def test_an_intake_that_looks_at_one_message_for_ever_is_stuck(watched: Watched) -> None:
    limit = watched.settings.stall_limit_s
    suspects = Suspects(watched.settings.paths.looking)
    with suspects.looking_at("one"):
        assert watched.stuck("code-server", os.getpid(), 0) == []
        assert watched.stuck("code-server", os.getpid(), limit + 1) == ["code-server"]
    assert watched.stuck("code-server", os.getpid(), 10 * limit) == []  # it waits for a message


@pytest.mark.parametrize("part", ["worker", "host", "web", "redis", "code-server"])
def test_a_part_that_waits_for_work_is_not_stuck(watched: Watched, part: str) -> None:
    for _ in range(3):
        assert watched.stuck(part, os.getpid(), 10 * watched.settings.stall_limit_s) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into any folder")
def test_nothing_is_said_where_no_sign_could_be_given(watched: Watched) -> None:
    mark_ready(watched.settings, "agent")
    watched.settings.run_dir.chmod(0o500)
    try:
        assert watched.stuck("agent", os.getpid(), 0) == []
        assert watched.stuck("agent", os.getpid(), 1e9) == []
    finally:
        watched.settings.run_dir.chmod(0o700)


def test_nothing_is_said_while_the_folder_of_the_signs_is_gone(watched: Watched) -> None:
    mark_ready(watched.settings, "agent")
    assert watched.stuck("agent", os.getpid(), 0) == []
    for path in watched.settings.run_dir.iterdir():
        path.unlink()
    watched.settings.run_dir.rmdir()
    assert watched.stuck("agent", os.getpid(), 1e9) == []


def test_what_is_stuck_is_ended_and_reported_as_any_other_end(
    settings: Settings, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    settings.run_dir.mkdir(parents=True)
    found = supervising.Supervisor(settings, said.append)
    pid = step_process()
    child = found.children["agent"]
    child.process = type("Process", (), {"pid": pid})()
    child.ended = threading.Event()
    monkeypatch.setattr(found._watch, "stuck", lambda pids: [("agent", "has made no progress")])
    monkeypatch.setattr(supervising, "kill_group", lambda leader: os.kill(leader, signal.SIGKILL))
    found._look_for_stuck_parts()
    assert is_gone(pid)
    assert "agent" in said[0]
    assert silence_s(settings, "node") is not None


def test_addresses_come_back_when_somebody_has_removed_them(watched: Watched) -> None:
    path = watched.settings.paths.running("redis")
    path.write_text('{"port": 1}')
    watched.watch.keep_addresses()
    path.unlink()
    watched.settings.run_dir.rmdir()
    watched.watch.keep_addresses()
    assert path.read_text() == '{"port": 1}'


# ---------------------------------------------------------------------- suspects
def end_in_the_middle(path: Path, name: str) -> None:
    """A process that dies while it looks."""
    pid = os.fork()
    if pid == 0:
        with Suspects(path).looking_at(name):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_ends_the_process_is_counted_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run" / "looking.json"
    for _ in range(MOST_DEATHS):
        end_in_the_middle(path, "bad")
        with Suspects(path).looking_at("good") as deaths:
            assert deaths == 0
    with Suspects(path).looking_at("bad") as deaths:
        assert deaths == MOST_DEATHS
    assert not path.exists()


def test_an_error_that_is_handled_is_no_death(tmp_path: Path) -> None:
    path = tmp_path / "looking.json"
    for _ in range(MOST_DEATHS + 1):
        with pytest.raises(ValueError, match="x"), Suspects(path).looking_at("one") as deaths:
            raise ValueError("x")
        assert deaths == 0


def test_a_damaged_file_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "looking.json"
    for text in ("", "[]", '{"now": 1}', '{"now": null, "deaths": {"a": "x"}}'):
        path.write_text(text)
        with Suspects(path).looking_at("a") as deaths:
            assert deaths == 0


# ---------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("variable", "name"), [("PROTEINX_TAKE_AHEAD", "take_ahead"), ("PROTEINX_STALL_LIMIT_S", "stall_limit_s")]
)
def test_the_limits_are_settings(tmp_path: Path, variable: str, name: str) -> None:
    assert getattr(load_settings({variable: "7"}, tmp_path), name) == 7
    (tmp_path / "proteinx.toml").write_text(f"{name} = 8\n")
    assert getattr(load_settings({}, tmp_path), name) == 8
    for bad in ("0", "-1", "x", "1.5", "10000000", "\u0662"):
        with pytest.raises(SettingsError, match=variable):
            load_settings({variable: bad}, tmp_path)


def test_the_setting_is_what_the_watch_goes_by(settings: Settings) -> None:
    watched = Watched(replace(settings, stall_limit_s=5))
    mark_ready(watched.settings, "agent")
    assert watched.stuck("agent", os.getpid(), 0) == []
    assert watched.stuck("agent", os.getpid(), 6) == ["agent"]
