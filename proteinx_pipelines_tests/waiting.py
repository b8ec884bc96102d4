"""Waiting for what another thread or process brings about."""

import time
from collections.abc import Callable


def wait_until(what: Callable[[], object], within_s: float = 120.0, pause_s: float = 0.05) -> None:
    """Wait until something is true. The limit is generous: it is there for what would never come.

    Raises:
        AssertionError: it is not true after `within_s` seconds.
    """
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, f"it did not happen within {within_s:g} s"
        time.sleep(pause_s)
