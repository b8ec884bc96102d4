"""Counts what the experiments of a node have written and how they ended, for `/metrics`.

It reads the journals (`logs/events/`, schema `journal_event`) behind what it has read, and keeps its numbers in
`run/observed.json`: they go on after a restart, and nothing is counted twice. No training knows of it.
"""

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proteinx_pipelines.clock import now_utc, timestamp_before
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.json_lines import json_lines_behind
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.observation.tallies import Tally
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
LOOK_S = 5.0
"""Seconds between two looks."""
OVERLAP_S = 10.0
"""Each look begins so long before the one before it: rows are written a moment after the time that they name."""
ENDED = "ended"
"""Place of a generation's end among the positions."""
MOST_POSITIONS = 10_000
"""Most journals whose position is kept; more than the generations that one look can find."""


@dataclass
class Observed:
    """What was counted so far, as `run/observed.json` has it."""

    tally: Tally = field(default_factory=Tally)
    since: str = ""
    """Rows that were changed before this time have been looked at."""
    lag_s: float | None = None
    """Age of the newest event when it was counted, in seconds."""
    positions: dict[str, int] = field(default_factory=dict)
    """`<experiment>/<generation>/<time of arrival>/<attempt or "ended">` -> bytes that were read, last used last."""

    @classmethod
    def load(cls, settings: Settings) -> "Observed":
        """Read the file; numbers begin at 0 where there is none, or it cannot be read."""
        try:
            document = read_json(settings.paths.observed)
            return cls(
                Tally.read(document["tally"]),
                str(document["since"]),
                document["lag_s"],
                {str(key): int(value) for key, value in document["positions"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, settings: Settings) -> None:
        """Write the file."""
        document: dict[str, Any] = {
            "tally": self.tally.document(),
            "since": self.since,
            "lag_s": self.lag_s,
            "positions": self.positions,
        }
        write_json(settings.paths.observed, document)


class JournalCounter:
    """One node's; `look` again and again."""

    def __init__(self, settings: Settings, state: Ledger) -> None:
        self._settings, self._state = settings, state
        self._observed = Observed.load(settings)

    def look(self) -> None:
        """Count what is new, and save it.

        Raises:
            OSError: the file cannot be written; it is written by a later look.
            BackendError: `state.db` cannot be read.
        """
        observed, until = self._observed, timestamp_before(OVERLAP_S)
        found = [self._count(current) for current in self._state.changed_since(observed.since)]
        observed.since = max(observed.since, until)
        for old in list(observed.positions)[:-MOST_POSITIONS]:
            del observed.positions[old]
        if any(found) or not self._settings.paths.observed.is_file():
            observed.save(self._settings)

    def _count(self, current: Generation) -> bool:
        """Count what one generation has written since the last look; true if there was something."""
        directory = ExperimentDir(self._settings.experiments_dir, current.experiment_id)
        # An experiment that was removed and sent again has the same numbers and another time.
        whole = f"{current.experiment_id}/{current.generation}/{current.received_at}"
        is_new = False
        for attempt in range(1, current.attempt + 1):
            key = f"{whole}/{attempt}"
            position = self._observed.positions.pop(key, 0)
            path = directory.events(current.generation, attempt)
            while lines := json_lines_behind(path, position):
                for event, behind in lines:
                    self._observed.tally.event(event)
                    self._observed.lag_s = _age(event.get("timestamp"))
                    position, is_new = behind, True
            self._observed.positions[key] = position
        key = f"{whole}/{ENDED}"
        if current.is_terminal and key not in self._observed.positions:
            self._observed.positions[key] = 1
            self._observed.tally.end(current.state, current.error_code)
            is_new = True
        return is_new


def count_in_background(settings: Settings, state: Ledger, stopping: threading.Event) -> None:
    """Count on a thread of the agent, which ends when the node stops; whatever fails is tried again."""

    def work() -> None:
        counter = JournalCounter(settings, state)
        while not stopping.wait(LOOK_S):
            try:
                counter.look()
            except Exception as error:  # noqa: BLE001  # an experiment never waits for a number
                log.warning("The numbers for Prometheus stand still: %s: %s", type(error).__name__, error)

    threading.Thread(target=work, name="journal", daemon=True).start()


def _age(time: Any) -> float | None:
    try:
        return max(0.0, (now_utc() - datetime.fromisoformat(time)).total_seconds())
    except (ValueError, TypeError):
        return None
