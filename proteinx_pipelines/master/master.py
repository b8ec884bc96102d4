"""The Master as one object: its settings, its database, the bell of its streams. Routes and loops share it."""

from dataclasses import dataclass, field
from typing import Self

from sqlalchemy import Connection

from proteinx_pipelines.master.database.engine import open_database, take_alone
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.events import Bell
from proteinx_pipelines.master.jobs.flag_rows import follow_defaults
from proteinx_pipelines.master.logs.sharing import Followed
from proteinx_pipelines.master.nodes.beats import Beats
from proteinx_pipelines.master.observation.lag import Lag
from proteinx_pipelines.master.settings import MasterSettings
from proteinx_pipelines.master.tokens import Callers


@dataclass(frozen=True)
class Master:
    """What every part of the running Master uses."""

    settings: MasterSettings
    database: Database
    bell: Bell
    callers: Callers = field(default_factory=Callers)
    followed: Followed = field(default_factory=Followed)
    beats: Beats = field(default_factory=Beats)
    seat: Connection | None = None
    """Held open while this Master has its database for itself; see `take_alone`."""
    lag: Lag = field(default_factory=Lag)
    """How old the events of nodes are when they come."""

    @classmethod
    def open(cls, settings: MasterSettings) -> Self:
        """Open the database and start its writer.

        Raises:
            MasterStateError: the database cannot be used.
        """
        settings.folder.mkdir(parents=True, exist_ok=True)
        bell = Bell()
        engine = open_database(settings.database_url or settings.database_path)
        seat = take_alone(engine)
        database = Database(engine, on_commit=bell.ring)
        database.write(follow_defaults)
        return cls(settings, database, bell, seat=seat)

    def close(self) -> None:
        """Finish what was queued and close the database."""
        self.database.close()
        if self.seat is not None and not self.seat.closed:
            self.seat.invalidate()  # closed, not put back: the lock ends with it
            self.seat.close()
