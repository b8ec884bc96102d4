"""Record of the item that the intake is about to process, so that one message cannot end it again and again.

A process that dies, or hangs and is killed, leaves the name behind. The next process counts it, and gives up an item
that has ended `MOST_DEATHS` processes. The file is not synced: it guards against dying processes, not power losses.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

MOST_DEATHS = 3
"""Most processes that one message or experiment may end before it is given up."""


class Suspects:
    """The file of one intake."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._deaths: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            known = json.loads(path.read_text(encoding="utf-8"))
            self._deaths = {str(name): int(count) for name, count in known["deaths"].items()}
            if known["now"] is not None:
                self._deaths[known["now"]] = self._deaths.get(known["now"], 0) + 1

    @contextlib.contextmanager
    def looking_at(self, name: str) -> Iterator[int]:
        """Note that the block processes `name`; yields how many processes it has ended before."""
        deaths = self._deaths.get(name, 0)
        self._write(name)
        try:
            yield deaths
        finally:
            # Also after an error: this process lives, and what it made of the error is its own business.
            self._deaths.pop(name, None)
            self._write(None)

    def _write(self, now: str | None) -> None:
        with contextlib.suppress(OSError):
            if now is None and not self._deaths:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"now": now, "deaths": self._deaths}), encoding="utf-8")
