"""Parts that the fork server makes: children of the supervisor like any others, in less memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from proteinx_pipelines.node.processes import forked_parts
from proteinx_pipelines.node.processes.forked_parts import ForkedParts
from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID
from proteinx_pipelines.node.processes.part_log import PartLog

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parts are forked on Linux only")

ENVIRONMENT = {**os.environ, SUPERVISOR_PID: str(os.getpid()), "NUMBER": "one"}
NODE = """
import os, sys, time
from proteinx_pipelines.node.processes.fork_server import serve
from proteinx_pipelines.node.processes.node_process import begin_part
begin_part()
shared = bytearray(50_000_000)
how = "forked" if sys.argv[-1] == "fork-server" else "alone"
part = serve() if how == "forked" else sys.argv[-1]
if part is None:
    raise SystemExit
begin_part()
print(part, how, os.getsid(0) == os.getpid(), *filter(None, [os.environ.get("NUMBER")]), flush=True)
if part == "three":
    raise SystemExit(3)
time.sleep(60)
"""
"""The program behind the command of a part, without Dagster: the same two halves."""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkedParts]:
    monkeypatch.setattr(forked_parts, "command", lambda part: [sys.executable, "-c", NODE, part])
    before = psutil.Process().children(recursive=True)
    found = ForkedParts(ENVIRONMENT, PartLog(tmp_path, "fork-server"))
    found.begin()
    wait_for(lambda: found.can_start("agent"))
    yield found
    found.end()
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)


def said(log: PartLog, within_s: float = 60) -> str:
    """The first line of a part."""
    wait_for(lambda: log.path.is_file() and log.path.read_text(encoding="utf-8").endswith("\n"), within_s)
    return log.path.read_text(encoding="utf-8").strip()


def wait_for(condition: Callable[[], object], within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_forked_part_is_a_child_like_any_other(parts: ForkedParts, tmp_path: Path) -> None:
    log = PartLog(tmp_path, "agent")
    part = parts.start("agent", {**ENVIRONMENT, "NUMBER": "two"}, log)
    assert said(log) == "agent forked True two"
    process = psutil.Process(part.pid)
    assert process.ppid() == os.getpid()
    assert process.cmdline()[-1] == "agent"
    assert Path(process.cmdline()[0]) == Path(sys.executable)
    assert process.memory_full_info().uss < 40_000_000  # the 50 MB of the fork server are not its own
    part.terminate()
    assert part.wait() == -signal.SIGTERM
    part.terminate()  # nothing happens to another process of that number
    log.close()


@pytest.mark.parametrize(("name", "code"), [("three", 3), ("killed", -signal.SIGKILL)])
def test_the_end_of_a_forked_part_is_told_as_that_of_any_child(
    parts: ForkedParts, tmp_path: Path, name: str, code: int
) -> None:
    log = PartLog(tmp_path, name)
    part = parts.start(name, ENVIRONMENT, log)
    assert said(log).startswith(name)
    if name == "killed":
        os.kill(part.pid, signal.SIGKILL)
    assert part.wait() == code == part.returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_the_fork_server_a_part_is_started_by_itself_and_the_next_one_is_forked_again(
    parts: ForkedParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    first, second, third = (PartLog(tmp_path, name) for name in ("first", "second", "third"))
    before = parts.start("first", ENVIRONMENT, first)
    assert said(first) == "first forked True one"
    assert parts._server is not None
    server = parts._server.pid
    os.kill(server, number)
    monkeypatch.setattr(forked_parts, "ANSWER_WITHIN_S", 1.0)
    parts.start("second", ENVIRONMENT, second)
    assert said(second) == "second alone True one"
    assert psutil.Process(before.pid).is_running()  # nobody's life hangs on the fork server
    monkeypatch.setattr(forked_parts, "ANSWER_WITHIN_S", 20.0)
    wait_for(lambda: parts.can_start("third"))
    parts.start("third", ENVIRONMENT, third)
    assert said(third) == "third forked True one"
    assert parts._server.pid != server
    assert not psutil.pid_exists(server)


def test_a_dead_fork_server_is_started_again_before_it_is_needed(parts: ForkedParts) -> None:
    assert parts._server is not None
    server = parts._server
    server.kill()
    server.wait()
    parts.keep()
    assert parts._server.pid != server.pid


LIVING = """
import collections, gc, sys
from proteinx_pipelines.node.processes import fork_server
shared = [[number] for number in range(1_000_000)]
gc.collect()
gc.freeze()
gc.disable()
fork_server.collect_again() if sys.argv[1] == "guarded" else gc.enable()
for_a_while, most = collections.deque(maxlen=5_000), 0
for number in range(150_000):
    cycle = []
    cycle.append([cycle])
    for_a_while.append(cycle)
    if number % 10_000 == 0:
        most = max(most, len(gc.get_objects()))
print(most)
"""
"""A part whose objects live for a while, each of two lists, and end as cycles; prints the most that there were."""


@pytest.mark.parametrize(("guard", "is_small"), [("guarded", True), ("unguarded", False)])
def test_a_forked_part_frees_its_dead_objects_as_if_it_held_nothing_else(guard: str, is_small: bool) -> None:
    """The code server grew by 0.2 MB with each small experiment, the Master by 0.1: dead objects that waited."""
    done = subprocess.run([sys.executable, "-c", LIVING, guard], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 150_000) is is_small, done.stdout


def test_a_forked_part_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from proteinx_pipelines.node.processes import forked_parts
from proteinx_pipelines.node.processes.part_log import PartLog
NODE = {NODE!r}
forked_parts.command = lambda part: [sys.executable, "-c", NODE, part]
folder = Path({str(tmp_path)!r})
ENVIRONMENT = {{**os.environ, {SUPERVISOR_PID!r}: str(os.getpid())}}
parts = forked_parts.ForkedParts(ENVIRONMENT, PartLog(folder, "fork-server"))
parts.begin()
while not parts.can_start("agent"):
    time.sleep(0.05)
print(parts.start("agent", ENVIRONMENT, PartLog(folder, "agent")).pid, flush=True)
time.sleep(60)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    part = psutil.Process(int(supervisor.stdout.readline()))
    assert said(PartLog(tmp_path, "agent")) == "agent forked True"
    supervisor.kill()
    supervisor.wait()
    gone, _alive = psutil.wait_procs([part], timeout=10)
    assert gone


def test_the_orphans_of_a_part_are_the_systems_and_not_the_supervisors(
    parts: ForkedParts, tmp_path: Path
) -> None:
    """Adopted, nobody would ever reap them."""
    parts.start("agent", ENVIRONMENT, PartLog(tmp_path, "agent"))
    code = "import os, time\nif os.fork() == 0: time.sleep(30)"
    subprocess.run([sys.executable, "-c", code], check=True)
    children = psutil.Process().children()  # those of other tests too, which may have ended
    assert [each for each in children if code in command_of(each)] == []


def command_of(process: psutil.Process) -> list[str]:
    """Arguments of a process; none of one that has ended."""
    try:
        return process.cmdline()
    except (psutil.ZombieProcess, psutil.NoSuchProcess):
        return []
