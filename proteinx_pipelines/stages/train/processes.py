"""Child processes of a Celery worker that do not outlive it.

A task runs in a prefork child, which is daemonic: `multiprocessing` refuses to start processes from there.
Used by `lightning_fit` (DataLoader workers) and `ddp_process` (processes of distributed training).
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def may_have_children() -> Iterator[None]:
    """Let the current process start `multiprocessing` children although it is daemonic.

    The flag is a convention, not a limit of the system: it keeps `multiprocessing` from leaving orphans when it kills
    a daemonic child. No orphans arise here: DataLoader workers watch their parent and end with it, and processes of
    distributed training call `die_with_parent`.
    """
    configs = [process._config for process in _current_processes()]  # type: ignore[attr-defined]  # noqa: SLF001
    before = [config.get("daemon") for config in configs]
    for config in configs:
        config["daemon"] = False
    try:
        yield
    finally:
        for config, daemon in zip(configs, before, strict=True):
            config["daemon"] = daemon


def _current_processes() -> list[object]:
    """Objects that `multiprocessing` and Celery's billiard regard as the current process."""
    found: list[object] = [multiprocessing.current_process()]
    billiard = sys.modules.get("billiard")  # only a Celery worker has it, and there it may be another object
    if billiard is not None:
        found.append(billiard.current_process())
    return found


def die_with_parent() -> None:
    """End this process when its parent ends, for whatever reason.

    On Linux the kernel does it. Everywhere, a thread also waits for the end of standard input, which the
    parent holds open: it closes with the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_at_end_of_input, name="parent-watch", daemon=True).start()


def _end_at_end_of_input() -> None:
    while os.read(
        0, 4096
    ):  # not sys.stdin: its lock, held by this thread, would block the interpreter's exit
        pass
    os._exit(1)
