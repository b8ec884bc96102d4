"""The order in which waiting jobs are given out: priority, then what is due first, then place."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from proteinx_pipelines.master.database.tables import jobs

ORDER = (jobs.c.priority.desc(), jobs.c.due_at.is_(None), jobs.c.due_at, jobs.c.place, jobs.c.number)
"""For ORDER BY. The time that is left until a job is due falls at the same pace for all: the earliest has the least."""


def due_at(created_at: str, deadlines: Iterable[str | None], slo_s: float | None) -> float | None:
    """The moment by which a job should have ended, in seconds since the epoch; None where nobody has said one.

    Args:
        created_at: when the job was created.
        deadlines: of the job and of its flags (`run.deadline`), times with their zones.
        slo_s: seconds from its creation (`run.slo_s`).
    """
    found = [datetime.fromisoformat(text) for text in deadlines if text]
    if slo_s is not None:
        found.append(datetime.fromisoformat(created_at) + timedelta(seconds=slo_s))
    return min((moment.timestamp() for moment in found), default=None)
