"""Writes failure bundles on a thread of its own.

A bundle is a copy for people. Whatever it is made of, and however slow the disk is, it holds neither the process that
finishes experiments nor the experiments behind: when too many wait, the newest is left out, and a line in the log
says so.
"""

import atexit
import logging
import os
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
MOST_WAITING = 100
"""Bundles that wait to be written; each is small."""
LAST_S = 5.0
"""Seconds that a process which ends gives to the bundles that wait."""


class BundleWriter:
    """Writes one bundle after another; the thread starts with the first."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[str, Callable[[], object]]] = queue.Queue(MOST_WAITING)
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def write_later(self, run_key: str, write: Callable[[], object]) -> bool:
        """Have a bundle written; whether it will be.

        Args:
            run_key: what it is about, for the log.
            write: writes it; what it raises is logged.
        """
        with self._lock:
            try:
                self._waiting.put_nowait((run_key, write))
            except queue.Full:
                log.warning("%s: its failure bundle is left out, %d others wait.", run_key, MOST_WAITING)
                return False
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="failure-bundles", daemon=True)
                self._thread.start()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until all is written, at most so long; whether it is."""
        return self._idle.wait(seconds)

    def _work(self) -> None:
        while True:
            run_key, write = self._waiting.get()
            try:
                write()
            except Exception as error:  # noqa: BLE001  # a full disk, a damaged file: it is a copy for people
                log.warning("%s: its failure bundle could not be written: %s", run_key, error)
            with self._lock:
                if self._waiting.empty():
                    self._idle.set()


_writers: dict[int, BundleWriter] = {}


def bundle_writer() -> BundleWriter:
    """This process's writer; a fork has one of its own, since threads do not cross it."""
    pid = os.getpid()
    if pid not in _writers:
        _writers.clear()
        _writers[pid] = BundleWriter()
        atexit.register(_writers[pid].wait, LAST_S)
    return _writers[pid]
