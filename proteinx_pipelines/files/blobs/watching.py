"""Watches of transfers: a limit of time, and signs of life while bytes come."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from proteinx_pipelines.errors import BackendError

Watch = Callable[[int], None]
"""Called with the number of bytes that have come since the last call, at least once a second; may raise to give up."""
TICK_S = 0.5
"""Seconds between two calls while no byte comes."""
_BLOCKS_AHEAD = 8


def within(seconds: float, then: Watch | None = None) -> Watch:
    """A watch that gives a transfer up after some seconds, counted from now.

    Args:
        seconds: the limit.
        then: called before the limit is checked.

    Returns:
        The watch; it raises BackendError.
    """
    ends_at = time.monotonic() + seconds

    def watch(n_bytes: int) -> None:
        if then is not None:
            then(n_bytes)
        if time.monotonic() > ends_at:
            raise BackendError(f"A transfer was given up after {seconds:.3g} s: the store is too slow.")

    return watch


def watched(blocks: Callable[[], Iterator[bytes]], watch: Watch) -> Iterator[bytes]:
    """Yield the blocks that another thread receives, and call the watch meanwhile, whether bytes come or not.

    A server may send a byte now and then for hours: no time limit of a request notices it. A transfer that is given up
    ends with its next block, in its own thread.
    """
    transfer = _Transfer()
    threading.Thread(target=transfer.receive, args=(blocks,), name="transfer", daemon=True).start()
    try:
        while True:
            try:
                item = transfer.came.get(timeout=TICK_S)
            except queue.Empty:
                watch(0)
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            watch(len(item))
            yield item
    finally:
        transfer.given_up.set()


class _Transfer:
    """Blocks on their way from one thread to another."""

    def __init__(self) -> None:
        self.came: queue.Queue[bytes | BaseException | None] = queue.Queue(_BLOCKS_AHEAD)
        self.given_up = threading.Event()

    def receive(self, blocks: Callable[[], Iterator[bytes]]) -> None:
        """Receive all blocks; the last item is None, or the error."""
        try:
            for block in blocks():
                if not self._put(block):
                    return
        except BaseException as error:  # noqa: BLE001  # raised again in the other thread
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: bytes | BaseException | None) -> bool:
        while not self.given_up.is_set():
            with contextlib.suppress(queue.Full):
                self.came.put(item, timeout=TICK_S)
                return True
        return False
