"""Where a job stands: its position, the one reason why it waits, and when it is expected to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.database.facts import is_paused
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.jobs.expected import Duration, expected
from proteinx_pipelines.master.jobs.order import count_before, ordered, places_of
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.jobs.views import job_document

MOST_AHEAD = 200
"""Waiting jobs in front whose durations are looked at one by one; the rest counts as their mean."""

_COUNTED = 3
"""Waiting jobs whose places are counted one by one."""
_ON_NODES = select(jobs.c.kind, jobs.c.model, jobs.c.source, jobs.c.started_at).where(
    jobs.c.state.in_(ON_A_NODE)
)
_AHEAD = ordered(select(jobs.c.kind, jobs.c.model, jobs.c.source).where(jobs.c.state == "WAITING")).limit(
    MOST_AHEAD
)
_LIVING = select(nodes.c.is_drained).where(~nodes.c.is_lost)


@dataclass(frozen=True)
class Standing:
    """Where one job stands."""

    position: int | None
    """Place among the waiting jobs, from 1; None for one that does not wait."""
    reason: str | None
    """Why it does not run; None for one that runs or has ended well."""
    eta_s: float | None
    """Expected seconds until it ends; None where no comparable job has ended, or it has ended itself."""
    eta_error_s: float | None
    """Spread of that expectation, in seconds."""


class Line:
    """The whole line at one moment; what several jobs need is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_paused = is_paused(connection)
        drained = list(connection.execute(_LIVING).scalars())
        self._living, self._taking = len(drained), drained.count(False)
        self._places: dict[str, int] = {}
        self._durations: dict[tuple[Any, ...], Duration | None] = {}
        self._ahead: list[tuple[float, float, int]] | None = None
        self._left_running: float | None = None

    def standing(self, row: Mapping[str, Any]) -> Standing:
        """Position, reason and expected end of one job."""
        state = row["state"]
        if state == "WAITING":
            before = self._places[row["job_id"]] if row["job_id"] in self._places else self._before(row)
            eta, error = self._eta(row, before)
            return Standing(before + 1, self._reason(row, before), eta, error)
        if state == "HELD":
            return Standing(None, row["reason"] or "it is held; release it", None, None)
        if state in ON_A_NODE:
            left, error = self._left(row)
            reason = None
            if row["cancel_requested"]:
                reason = "it is being cancelled"
            elif state == "ASSIGNED":
                reason = f"it is on node {row['node']} and begins when that node is free"
            return Standing(None, reason, left, error)
        return Standing(None, row["reason"], None, None)

    def document(self, row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """The document of a job, with its standing."""
        found = self.standing(row)
        return job_document(
            row,
            position=found.position,
            **{"reason": found.reason, "eta_s": found.eta_s, "eta_error_s": found.eta_error_s, **more},
        )

    def look_at(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say that these jobs will be asked for: where many of them wait, the line is read once."""
        waiting = [row["job_id"] for row in rows if row["state"] == "WAITING"]
        if len(waiting) > _COUNTED:
            self._places = places_of(self._connection, waiting)

    def look_at_new(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say that these jobs, just created side by side, will be asked for: one count for all that rank alike."""
        ranks: dict[tuple[int, float], list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["state"] == "WAITING":
                ranks.setdefault((row["priority"], row["latest_start"]), []).append(row)
        if len(ranks) > _COUNTED:
            self.look_at(rows)
            return
        for alike in ranks.values():
            before = self._before(alike[0])
            self._places.update((row["job_id"], before + k) for k, row in enumerate(alike))

    # ------------------------------------------------------------------
    def _before(self, row: Mapping[str, Any]) -> int:
        return count_before(self._connection, row)

    def _reason(self, row: Mapping[str, Any], before: int) -> str:
        if self._is_paused:
            return "the queue is paused"
        if row["reason"]:  # dispatch could not place it, and says why
            return str(row["reason"])
        if self._living == 0:
            return "no node is connected"
        if self._taking == 0:
            return "every node is drained: it takes no new jobs"
        if before:
            return f"{before} job{'s' if before != 1 else ''} before it"
        return "it is next: every node is busy"

    def _expected(self, row: Mapping[str, Any]) -> Duration | None:
        key = (row["kind"], row["model"], row["source"])
        if key not in self._durations:
            self._durations[key] = expected(self._connection, row)
        return self._durations[key]

    def _left(self, row: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """Expected seconds until a job on a node has ended."""
        whole = self._expected(row)
        if whole is None:
            return None, None
        if row["started_at"] is None:
            return whole.seconds, whole.error_s
        run = (now_utc() - datetime.fromisoformat(row["started_at"])).total_seconds()
        return max(0.0, whole.seconds - run), whole.error_s

    def _eta(self, row: Mapping[str, Any], before: int) -> tuple[float | None, float | None]:
        own = None if self._taking == 0 or self._is_paused else self._expected(row)
        if own is None:
            return None, None
        ahead = self._first()
        looked_at = min(before, len(ahead) - 1)
        seconds, error, unknown = ahead[looked_at]
        work, error = seconds + unknown * own.seconds + self._running(), error + unknown * own.error_s
        if before > looked_at > 0:
            work *= before / looked_at
            error *= before / looked_at
        return work / self._taking + own.seconds, error / self._taking + own.error_s

    def _first(self) -> Sequence[tuple[float, float, int]]:
        """Of the first 0, 1, 2, ... waiting jobs: expected seconds, their error, and how many have no expectation."""
        if self._ahead is None:
            self._ahead = [(0.0, 0.0, 0)]
            for other in self._connection.execute(_AHEAD).mappings():
                found = self._expected(dict(other))
                seconds, error, unknown = self._ahead[-1]
                if found is None:
                    self._ahead.append((seconds, error, unknown + 1))
                else:
                    self._ahead.append((seconds + found.seconds, error + found.error_s, unknown))
        return self._ahead

    def _running(self) -> float:
        """Expected seconds of work that the nodes have left."""
        if self._left_running is None:
            rows = self._connection.execute(_ON_NODES).mappings()
            self._left_running = sum(self._left(dict(row))[0] or 0.0 for row in rows)
        return self._left_running


def counts(connection: Connection) -> dict[str, int]:
    """Number of jobs in each state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {state: int(number) for state, number in connection.execute(query)}
