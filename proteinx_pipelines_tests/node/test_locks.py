"""Ownership of a WORKDIR, with real processes: a lock file that is removed beside its living holder frees nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.ledger import owners
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.health.parts import check_parts
from proteinx_pipelines.node.processes import locks
from proteinx_pipelines.node.processes.locks import PartLock, ProcessLock, birth_or_none
from proteinx_pipelines.node.processes.ready_parts import mark_ready, pid_of, process_of
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.node.world import World

PARTS = ("node", "worker", "host", "daemon", "agent", "code_server", "redis", "intake")
HOLD = """
import sys
from pathlib import Path
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.workdir import Workdir
PartLock(Workdir(Path(sys.argv[1])), sys.argv[2], "The part").acquire()
print("held", flush=True)
sys.stdin.read()
"""
Hold = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def hold(settings: Settings) -> Iterator[Hold]:
    """Start a process that holds the lock of a part until it is killed."""
    started: list[subprocess.Popen[str]] = []
    settings.run_dir.mkdir(parents=True)

    def start(part: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(settings.workdir), part],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_doctor_knows_a_part_whose_mark_was_removed(settings: Settings, hold: Hold) -> None:
    """After `rm -r run/` it said that the daemon was not there, until the daemon had ended its round."""
    daemon = hold("daemon")
    mark_ready(settings, "worker")
    found = {finding.text: finding.level for finding in check_parts(settings) if "daemon" in finding.text}
    assert found == {f"daemon runs as process {daemon.pid}": "ok"}
    daemon.kill()
    daemon.communicate()
    (gone,) = (finding for finding in check_parts(settings) if "daemon" in finding.text)
    assert (gone.level, gone.text.split(".")[0]) == ("wrong", "daemon is not there")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_held_though_run_is_removed_beside_it(settings: Settings, hold: Hold, part: str) -> None:
    process = hold(part)
    shutil.rmtree(settings.run_dir)
    mine = PartLock(settings.paths, part, "The part")
    with pytest.raises(NodeBusy, match=f"process {process.pid}"):
        mine.acquire()
    assert not mine.held
    assert process_of(settings, part) == process.pid
    process.kill()
    process.wait()
    mine.acquire()
    mine.release()


def test_without_the_table_a_second_one_would_start(settings: Settings, hold: Hold) -> None:
    """Guard off: the lock file alone."""
    hold("worker")
    shutil.rmtree(settings.run_dir)
    mine = ProcessLock(settings.paths.lock("worker"), "The worker")
    mine.acquire()
    mine.release()


def test_the_folder_holds_the_node_where_state_db_is_lost_too(settings: Settings, hold: Hold) -> None:
    process = hold("node")
    shutil.rmtree(settings.run_dir)
    settings.state_path.unlink()
    with pytest.raises(NodeBusy, match="another process"):
        PartLock(settings.paths, "node", "The node").acquire()
    process.kill()
    process.wait()
    lock = PartLock(settings.paths, "node", "The node")
    lock.acquire()
    lock.release()


def test_a_folder_that_cannot_be_locked_leaves_the_other_locks(
    settings: Settings, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS locks no folders."""
    monkeypatch.setattr(locks, "_lock_folder", lambda folder: os.open(folder, os.O_RDONLY))
    process = hold("node")
    with pytest.raises(NodeBusy, match=f"process {process.pid}"):
        PartLock(settings.paths, "node", "The node").acquire()
    shutil.rmtree(settings.run_dir)
    with pytest.raises(NodeBusy, match=f"process {process.pid}"):
        PartLock(settings.paths, "node", "The node").acquire()


def test_a_number_that_another_program_got_later_holds_nothing(settings: Settings) -> None:
    settings.workdir.mkdir(parents=True)
    assert owners.claim(settings.state_path, "worker", lambda _pid: 1.0) is None
    assert owners.owner_of(settings.state_path, "worker", lambda _pid: 1.0) is not None
    assert owners.owner_of(settings.state_path, "worker", birth_or_none) is None


def test_an_earlier_start_of_the_machine_holds_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.workdir.mkdir(parents=True)
    owners.claim(settings.state_path, "worker", birth_or_none)
    monkeypatch.setattr(owners, "boot_id", lambda: "another")
    assert owners.owner_of(settings.state_path, "worker", birth_or_none) is None


def test_the_owners_stand_in_the_same_file_as_the_state(settings: Settings) -> None:
    settings.workdir.mkdir(parents=True)
    owners.claim(settings.state_path, "worker", birth_or_none)
    state = Ledger(settings.state_path)
    assert state.counts() == {}
    owner = owners.owner_of(settings.state_path, "worker", birth_or_none)
    assert owner is not None
    assert owner.pid == os.getpid()
    owners.release(settings.state_path, "worker")
    assert owners.owner_of(settings.state_path, "worker", birth_or_none) is None


def test_a_damaged_state_db_does_not_keep_a_part_from_saying_so(settings: Settings) -> None:
    settings.workdir.mkdir(parents=True)
    settings.state_path.write_bytes(b"no database" * 100)
    lock = PartLock(settings.paths, "worker", "The worker")
    lock.acquire()
    lock.release()


def test_a_removed_run_folder_costs_no_attempt(world: World) -> None:
    """`rm -r run/` beside a living node: what ran was taken for lost, since nothing said who executed it."""
    for part in ("host", "worker"):
        owners.claim(world.settings.state_path, part, birth_or_none)
    world.begin(pid=os.getpid())
    shutil.rmtree(world.settings.run_dir)
    world.reconciler.look()
    assert (world.latest().state, world.latest().attempt) == ("RUNNING", 1)
    assert pid_of(world.settings, "host") is None
