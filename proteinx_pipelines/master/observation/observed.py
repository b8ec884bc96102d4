"""Counters of one running Master: requests, and the events of its database since it started."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection, func, select

from proteinx_pipelines.master.database.tables import events
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.observation.exposition import Sample, counter, histogram, registry

TELL_STATES = ("job.state", "job.created")
"""Events whose `state` may be a final one."""
MOST_REASONS = 100
"""Most codes of errors that are counted by name."""
OTHER = "other"


@dataclass(frozen=True)
class Requests:
    """Counts requests."""

    answered: Counter
    seconds: Histogram
    _children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(default_factory=dict)
    """Those of each kind of request, which the library looks up under a lock; bounded as its own are."""

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            method: of the request.
            route: template of its path, `/api/jobs/{job_id}`; not the path, which may be anything.
            status: of the answer.
            seconds: until the answer began.
        """
        found = self._children.get((method, route, status))
        if found is None:
            found = self.answered.labels(method, route, str(status)), self.seconds.labels(method, route)
            self._children[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


class Observed:
    """Counters that begin at 0 with this process, as Prometheus expects of counters.

    Events are counted from the database's rows when somebody asks, so that nothing is counted that was not committed.
    """

    def __init__(self, database: Database) -> None:
        self.registry = registry()
        self.requests = Requests(
            counter(self.registry, "proteinx_http_requests_total"),
            histogram(self.registry, "proteinx_http_request_seconds"),
        )
        self._lock = threading.Lock()
        self._events: dict[str, int] = {}
        self._ended: dict[tuple[str, str], int] = {(state, ""): 0 for state in ENDED}
        with database.reading() as connection:
            self._seen = _last(connection)

    def samples(self, connection: Connection) -> Iterator[Sample]:
        """Samples of the events so far."""
        with self._lock:
            self._look(connection)
            counted, ended = sorted(self._events.items()), sorted(self._ended.items())
        for event, number in counted:
            yield Sample("proteinx_events_total", number, {"event": event})
        for (state, reason), number in ended:
            yield Sample("proteinx_jobs_ended_total", number, {"state": state, "reason": reason})

    def _look(self, connection: Connection) -> None:
        last = _last(connection)
        new = (events.c.seq > self._seen) & (events.c.seq <= last)
        query = select(events.c.event, func.count()).where(new).group_by(events.c.event)
        for event, number in connection.execute(query):
            self._events[event] = self._events.get(event, 0) + number
        state, error = (events.c.data[name].as_string() for name in ("state", "error"))
        ends = select(state, error, func.count()).where(
            new, events.c.event.in_(TELL_STATES), state.in_(ENDED)
        )
        for name, reason, number in connection.execute(ends.group_by(state, error)):
            self._count_end(name, reason or "", number)
        self._seen = last

    def _count_end(self, state: str, reason: str, number: int) -> None:
        is_known = (state, reason) in self._ended or len(self._ended) < MOST_REASONS
        key = (state, reason if is_known else OTHER)
        self._ended[key] = self._ended.get(key, 0) + number


def _last(connection: Connection) -> int:
    return int(connection.execute(select(func.max(events.c.seq))).scalar() or 0)
