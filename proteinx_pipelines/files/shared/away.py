"""A note for all processes of a node that the shared store does not answer, so that not each of them waits for it."""

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.redaction import redact

log = logging.getLogger(__name__)
AWAY_S = 60.0
"""Seconds for which a store that did not answer is not asked; the node's own probe renews or ends the note."""


@dataclass(frozen=True)
class AwayNote:
    """The note of one WORKDIR."""

    path: Path

    def reason(self) -> str | None:
        """Why the store is not asked at present; None when it is."""
        try:
            if abs(time.time() - self.path.stat().st_mtime) > AWAY_S:
                return None
            return str(read_json(self.path)["why"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, error: Exception) -> None:
        """Note that the store did not answer. The first note is logged."""
        why = redact(str(error))
        if not self.path.is_file():
            log.warning("The shared store is not asked for a while; nothing else depends on it: %s", why)
        with contextlib.suppress(OSError):
            write_json(self.path, {"why": why})

    def clear(self) -> None:
        """Note that the store answers again."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
            log.warning("The shared store answers again.")
