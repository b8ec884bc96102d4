"""Where a job stands: its position, the one reason why it waits, and when it is expected to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.database.facts import is_paused
from proteinx_pipelines.master.database.tables import jobs, nodes
from proteinx_pipelines.master.jobs.expected import Duration, expected
from proteinx_pipelines.master.jobs.order import count_before, ordered, whole_line
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.jobs.views import job_document

MOST_AHEAD = 200
"""Waiting jobs in front whose durations are looked at one by one; the rest counts as their mean."""

_COUNTED = 3
"""Waiting jobs whose places are counted one by one."""
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
        self._places: dict[int, int] = {}
        self._durations: dict[tuple[Any, ...], Duration | None] = {}
        self._ahead: list[Any] | None = None
        self._left_running: float | None = None

    def standing(self, row: Mapping[str, Any]) -> Standing:
        """Position, reason and expected end of one job."""
        state = row["state"]
        if state == "WAITING":
            before = self._before(row)
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
        if sum(row["state"] == "WAITING" for row in rows) > _COUNTED:
            self._places = whole_line(self._connection)

    # ------------------------------------------------------------------
    def _before(self, row: Mapping[str, Any]) -> int:
        before = self._places.get(row["number"])
        return before if before is not None else count_before(self._connection, row)

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
        own = self._expected(row)
        if own is None or self._taking == 0 or self._is_paused:
            return None, None
        ahead = [self._expected(other) or own for other in self._first(before)]
        work = sum(each.seconds for each in ahead) + self._running()
        error = sum(each.error_s for each in ahead)
        if before > len(ahead) and ahead:
            work *= before / len(ahead)
            error *= before / len(ahead)
        return work / self._taking + own.seconds, error / self._taking + own.error_s

    def _first(self, number: int) -> Sequence[Any]:
        if self._ahead is None:
            query = ordered(
                select(jobs.c.kind, jobs.c.model, jobs.c.source).where(jobs.c.state == "WAITING")
            ).limit(MOST_AHEAD)
            self._ahead = list(self._connection.execute(query).mappings())
        return self._ahead[:number]

    def _running(self) -> float:
        """Expected seconds of work that the nodes have left."""
        if self._left_running is None:
            rows = self._connection.execute(select(jobs).where(jobs.c.state.in_(ON_A_NODE))).mappings()
            self._left_running = sum(self._left(dict(row))[0] or 0.0 for row in rows)
        return self._left_running


def counts(connection: Connection) -> dict[str, int]:
    """Number of jobs in each state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {state: int(number) for state, number in connection.execute(query)}
