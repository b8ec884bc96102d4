"""Open jobs as their senders see them: what nodes report of them, and their places in the line.

Nothing is decided by it: a result is what `counting` has counted.
"""

from dataclasses import dataclass, field

from sqlalchemy import select

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch import statuses
from proteinx_pipelines.master.dispatch.looks import Looks
from proteinx_pipelines.master.dispatch.statuses import Report, merged, open_jobs
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.jobs.order import ordered

STATUS_S = 2.0
"""Seconds between two looks at the status hashes of open jobs: events may get lost."""
REPORTS_S = 0.2
"""Least seconds between two writes of what nodes report."""
POSITIONS_S = 5.0
"""Seconds between two updates of the places in the line."""
POSITIONS_AGAIN_S = 60.0
"""The same while nobody asks for his place and nothing was committed."""
MOST_POSITIONS = 1000
"""Most waiting jobs, from the front, whose places are shown."""


@dataclass
class JobDisplay:
    """Keeps statuses and places up to date."""

    database: Database
    wire: Wire
    looks: Looks
    reports: list[Report] = field(default_factory=list)
    """Reports of nodes that are not written yet."""
    _none_placed: bool = False
    """True if no sender who knows only Redis has a waiting job."""

    def note_reports(self, *, is_busy: bool) -> None:
        """Write what nodes say of their jobs into the rows; without a busy node there is nothing to ask for."""
        reports = []
        if self.reports and self.looks.is_due("reports", REPORTS_S):
            reports, self.reports = merged(self.reports), []
        if self.looks.is_due("statuses", STATUS_S) and is_busy:
            with self.database.reading() as connection:
                asked = open_jobs(connection)
            read = zip(asked, self.wire.statuses(asked) if asked else [], strict=True)
            reports = [*(Report(*key, status) for key, status in read if status is not None), *reports]
        if not reports:
            return
        with self.database.reading() as connection:
            found = statuses.changed(connection, reports)
        if found:  # without a change there is no commit, and nobody is woken
            self.database.write(lambda connection: statuses.write(connection, found))

    def show_positions(self) -> None:
        """Show the place in the line of each waiting experiment whose sender knows only Redis."""
        if not self.looks.is_due("positions", POSITIONS_S):
            return
        if not self.looks.is_news("places", POSITIONS_AGAIN_S) and self._none_placed:
            return
        query = ordered(
            select(jobs.c.experiment_id, jobs.c.message_key).where(jobs.c.state == "WAITING")
        ).limit(MOST_POSITIONS)
        with self.database.reading() as connection:
            line = rows(connection, query)
        places = {
            row["experiment_id"]: place
            for place, row in reversed(list(enumerate(line, start=1)))
            if row["message_key"] is not None
        }
        self._none_placed = not places
        if places:
            self.wire.line().positions(places)
