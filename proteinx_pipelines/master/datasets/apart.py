"""Checks files in a process of its own: one that unpacks to gigabytes, or is read without end, costs that process."""

import contextlib
import os
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CatalogError, NotInTime
from proteinx_pipelines.master.apart import Apart
from proteinx_pipelines.master.datasets.checking import TOO_MUCH
from proteinx_pipelines.master.datasets.reading import ReadingWishes

LONGEST_S = 900.0
"""Seconds in which one file is checked."""
AT_ONCE = 2
"""Files that are checked at once; more wait."""


class Checker:
    """Checks files apart; one process stays warm."""

    def __init__(self, longest_s: float = LONGEST_S, most_memory: int | None = None) -> None:
        self._longest_s = longest_s
        memory = str(most_memory or _half_of_the_memory())
        module = "proteinx_pipelines.master.datasets.checking"
        self._processes = Apart(module, [memory], longest_s=longest_s, at_once=AT_ONCE)

    def check(
        self, file: Path, catalog: Path, name: str, wishes: ReadingWishes, most_bytes: int
    ) -> dict[str, Any]:
        """As `checking.check`; not for the event loop.

        Raises:
            CatalogError: the file is refused, or takes too much memory or time.
        """
        request = {
            "file": str(file),
            "catalog": str(catalog),
            "name": name,
            "wishes": wishes.stated(),
            "most_bytes": most_bytes,
        }
        try:
            answer = self._processes.ask(request)
        except NotInTime as error:
            text = f"Reading the file has not ended within {self._longest_s:g} s. Send it in parts."
            raise CatalogError(text) from error
        if answer is None:
            raise CatalogError(TOO_MUCH)
        if "found" not in answer:
            raise CatalogError.as_told(answer["message"], answer["problems"])
        found: dict[str, Any] = answer["found"]
        return found

    def close(self) -> None:
        """End the processes."""
        self._processes.close()


def _half_of_the_memory() -> int:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return max(2 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return 8 << 30
