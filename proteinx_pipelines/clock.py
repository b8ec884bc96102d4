"""One way to read and to write a time: timezone-aware UTC, ISO 8601 with milliseconds."""

from datetime import UTC, datetime, timedelta


def now_utc() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp() -> str:
    """The current time as text, `2026-03-01T12:00:00.123+00:00`: sorts as it runs."""
    return now_utc().isoformat(timespec="milliseconds")


def timestamp_before(seconds: float) -> str:
    """The time `seconds` ago, as `timestamp` writes it."""
    return (now_utc() - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
