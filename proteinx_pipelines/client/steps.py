"""What a client does, step by step, without sending or sleeping: both clients drive these generators.

A step is a request to send or a pause to make. The driver answers a request with its answer, or with the error that
kept it from getting one, and a pause with nothing. Every request that changes something carries a key by which the
Master knows it again, so sending it twice is safe.
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.calls import Call, Job
from proteinx_pipelines.client.http_link import TEMPORARY, pause_s, result_of, unavailable
from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.errors import NotInTime

R = TypeVar("R")
LOOK_S = 0.25
"""Seconds between two looks at a job that is waited for; grows to `MOST_LOOK_S`."""
MOST_LOOK_S = 2.0
TRIES = 6
"""Times that a request is sent before a client gives up: about half a minute."""


@dataclass(frozen=True)
class Pause:
    """Seconds to wait."""

    seconds: float


Step = Call[Any] | Pause
Steps = Generator[Step, Any, R]
"""Steps to a result."""


def asked(call: Call[R], url: str, tries: int = TRIES) -> Steps[R]:
    """Send a request, again while the Master cannot answer.

    Args:
        call: the request.
        url: of the Master, for errors.
        tries: times that it is sent at most.

    Raises:
        MasterRefused: it answered with an error.
        MasterUnavailable: it did not answer.
    """
    for attempt in range(1, tries):
        answer = yield call
        failed = isinstance(answer, Exception)
        if not failed and answer.status_code not in TEMPORARY:
            return result_of(call, answer)
        yield Pause(pause_s(attempt, None if failed else answer))
    answer = yield call
    if isinstance(answer, Exception):
        raise unavailable(url, answer) from answer
    return result_of(call, answer)


class Asking:
    """The requests of one client: where they go, and how often they are tried."""

    def __init__(self, url: str, tries: int) -> None:
        self.url, self.tries = url, tries

    def one(self, call: Call[R]) -> Steps[R]:
        """Send a request."""
        return asked(call, self.url, self.tries)

    def waited(
        self, job: Job, timeout_s: float | None, on_progress: Callable[[JobDocument], object] | None
    ) -> Steps[JobDocument]:
        """Wait until a job has ended; `on_progress` hears of every change.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        end = _end(timeout_s)
        pause, seen = LOOK_S, ""
        while True:
            found = yield from self.one(calls.job(job))
            if on_progress is not None and (found.updated_at or "") != seen:
                seen = found.updated_at or ""
                on_progress(found)
            if found.is_ended:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise NotInTime(_not_in_time(found, timeout_s or 0.0))
            yield Pause(min(pause, left))
            pause = min(MOST_LOOK_S, pause * 1.3)

    def swept(self, name: str, unit: Mapping[str, Any]) -> Steps[tuple[str, str]]:
        """Make a group, add a unit and submit it; their ids."""
        group, unit_of, submission_of = calls.sweep(name, unit)
        group_id = yield from self.one(group)
        unit_id = yield from self.one(unit_of(group_id))
        yield from self.one(submission_of(unit_id))
        return group_id, unit_id

    def unit_ended(self, unit_id: str, timeout_s: float | None) -> Steps[None]:
        """Wait until every job of a unit has ended.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        end = _end(timeout_s)
        while True:
            found = yield from self.one(calls.document(f"/api/units/{unit_id}"))
            if found["state"] == "ENDED":
                return
            left = end - time.monotonic()
            if left <= 0:
                raise NotInTime(
                    f"The unit {unit_id} has not ended after {timeout_s:g} s: {dict(found['counts'])}."
                )
            yield Pause(min(1.0, left))


class Paging:
    """The pages of a list of jobs: `call` asks for the next one, `take` reads it."""

    def __init__(self, query: Mapping[str, Any]) -> None:
        self._query, self._page, self._seen = query, 1, 0
        self.is_over = False
        """True if there is no further page."""

    def call(self) -> Call[calls.Page[JobDocument]]:
        """The request of the next page."""
        return calls.jobs(self._page, **self._query)

    def take(self, found: calls.Page[JobDocument]) -> Iterable[JobDocument]:
        """The jobs of a page."""
        self._page += 1
        self._seen += len(found.items)
        self.is_over = self._seen >= found.total or not found.items
        return found.items


def _end(timeout_s: float | None) -> float:
    return float("inf") if timeout_s is None else time.monotonic() + timeout_s


def _not_in_time(job: JobDocument, timeout_s: float) -> str:
    """Say where a job stands that has not ended in time."""
    standing = f"it is {job.state}" + (f", stage {job.stage}, on node {job.node}" if job.node else "")
    why = f" ({job.reason})" if job.reason else ""
    return f"{job.job_id} has not ended after {timeout_s:g} s: {standing}{why}."
