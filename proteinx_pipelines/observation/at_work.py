"""The experiment that this process works on, for its structured log. One at a time: attempts do not overlap."""

from collections.abc import Iterator
from contextlib import contextmanager

_current: str | None = None


@contextmanager
def working_on(experiment_id: str) -> Iterator[None]:
    """Name the experiment in every record that is logged in the block, on any thread."""
    global _current  # one a process, as the log is
    before, _current = _current, experiment_id
    try:
        yield
    finally:
        _current = before


def at_work() -> str | None:
    """Id of the experiment; None between two."""
    return _current
