"""Times of the dispatcher's looks: what is due again, and what may have changed in the database since the last look."""

from dataclasses import dataclass, field

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.master.database.writer import Database

LOOK_AGAIN_S = 5.0
"""Longest time, in seconds, that what the database said is taken for what it says: without a commit it says the same,
but what was to be done with it may have failed."""


@dataclass
class Looks:
    """Remembers when each thing was looked at."""

    database: Database
    due: dict[str, float] = field(default_factory=dict)
    """Name of a look -> the time, in steady seconds, from which it is due."""
    _versions: dict[str, int] = field(default_factory=dict)
    """What was read -> the database's version then."""

    def is_news(self, what: str, longest_s: float = LOOK_AGAIN_S) -> bool:
        """True if something was committed since the last look at something, or that is `longest_s` ago."""
        version, is_due = self.database.version, steady_seconds() >= self.due.get(what, 0.0)
        if self._versions.get(what) == version and not is_due:
            return False
        self._versions[what], self.due[what] = version, steady_seconds() + longest_s
        return True

    def is_due(self, what: str, every_s: float) -> bool:
        """True if a look is due; the next one is then due in `every_s` seconds."""
        now = steady_seconds()
        if now < self.due.get(what, 0.0):
            return False
        self.due[what] = now + every_s
        return True
