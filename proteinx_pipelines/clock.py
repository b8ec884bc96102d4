"""One way to read and to write a time: timezone-aware UTC, ISO 8601 with milliseconds.

What is measured, and not told, is measured by `steady_seconds`: nobody sets that clock.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path


def now_utc() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp() -> str:
    """The current time as text, `2026-03-01T12:00:00.123+00:00`: sorts as it runs."""
    return now_utc().isoformat(timespec="milliseconds")


def timestamp_before(seconds: float) -> str:
    """The time `seconds` ago, as `timestamp` writes it."""
    return (now_utc() - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def steady_seconds() -> float:
    """Seconds on a clock that only runs forward, the same in all processes of a machine; it counts from its start.

    It stands while the machine sleeps.
    """
    return time.monotonic()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Names the start of the machine that `steady_seconds` counts from; empty where the system has no such name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
