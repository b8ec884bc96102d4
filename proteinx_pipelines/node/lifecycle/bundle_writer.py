"""Writes failure bundles on a thread of its own.

A bundle is a copy for people. A large bundle or a slow disk must delay neither the process that finishes experiments
nor the experiments that follow: when too many bundles wait, the newest is dropped with a line in the log.
"""

import atexit
import logging
import os
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
MOST_WAITING = 100
"""Most bundles that wait to be written; each is small."""
LAST_S = 5.0
"""Seconds that an ending process gives to the waiting bundles."""


class BundleWriter:
    """Writes one bundle after another; the thread starts with the first."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[str, Callable[[], object]]] = queue.Queue(MOST_WAITING)
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def write_later(self, run_key: str, write: Callable[[], object]) -> bool:
        """Queue a bundle to be written; false when it was dropped.

        Args:
            run_key: names the attempt in the log.
            write: writes the bundle; an exception from it is logged.
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
        """Wait at most so long until all bundles are written; true if they are."""
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
    """Writer of this process; a fork gets its own, since threads do not cross it."""
    pid = os.getpid()
    if pid not in _writers:
        _writers.clear()
        _writers[pid] = BundleWriter()
        atexit.register(_writers[pid].wait, LAST_S)
    return _writers[pid]
