"""Step processes as the operating system sees them: their owner, their activity, and their end."""

import contextlib
import os
import sys
from pathlib import Path

import psutil


def birth(pid: int) -> float:
    """Start time of a process, in seconds on a clock that nobody sets: with the pid, it names one process.

    psutil gives the time of day, which changes for the same process when the machine's clock is set.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    if sys.platform != "linux":
        return float(psutil.Process(pid).create_time())
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
    after_name = facts.rpartition(")")[2].split()  # a name may hold spaces and parentheses
    return int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def is_child(pid: int, parent: int) -> bool:
    """True if process `pid` lives and is `parent` or its child; the number may be another program's by now."""
    if pid == parent:
        return True  # Celery's solo pool: the worker executes the stages itself
    try:
        process = psutil.Process(pid)
        return process.ppid() == parent and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its descendants have used, in seconds; 0 when it is gone."""
    total = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def is_frozen(pid: int) -> bool:
    """True if a process is stopped (SIGSTOP, Ctrl-Z) and will not move by itself."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def kill_tree(pid: int) -> None:
    """Kill a process and its descendants."""
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []
