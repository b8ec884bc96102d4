"""Errors about jobs: what was asked for does not exist, or its state does not allow it."""

from collections.abc import Sequence

from proteinx_pipelines.errors import InputError


class UnknownJob(InputError):
    """There is no job of this id."""

    code = "unknown_job"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:100]!r}. `GET /api/jobs` lists them.")


class NotDeleted(InputError):
    """The trash does not have this job."""

    code = "unknown_job"

    def __init__(self, job_id: str, days: float) -> None:
        super().__init__(
            f"No job {job_id[:100]!r} was deleted within the last {days:g} days. `GET /api/trash` lists those that can "
            "be put back."
        )


class UnknownDataset(InputError):
    """There is no data set of this id or name."""

    code = "unknown_dataset"

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        there = (
            f"Known are {', '.join(known)}." if known else "None is uploaded; `POST /api/datasets` takes one."
        )
        super().__init__(f"There is no data set {name[:100]!r}. {there}")


class WrongState(InputError):
    """A job's state does not allow this verb."""

    code = "wrong_state"

    def __init__(self, job_id: str, state: str, verb: str, allowed: Sequence[str], do: str = "") -> None:
        text = f"{job_id} is {state}, and only a job that is {' or '.join(allowed)} can {verb}."
        super().__init__(f"{text} {do}".rstrip())
