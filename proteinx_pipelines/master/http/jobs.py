"""Routes of jobs: create, list, one, and verbs on one or many."""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, bindparam, select

from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.database.job_tables import dispatches
from proteinx_pipelines.master.http.access import Admin, Caller, MasterOf, Reader, Submitter, scope
from proteinx_pipelines.master.http.json_answer import json_answer
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of
from proteinx_pipelines.master.http.once import OnceTogether, once
from proteinx_pipelines.master.http.plain_json import plain_json
from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.jobs import trash, verbs
from proteinx_pipelines.master.jobs.creating import Asked, Checked, JobRequest, check, create_many
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.foreseen import foreseen
from proteinx_pipelines.master.jobs.listing import JobFilter, list_jobs
from proteinx_pipelines.master.jobs.selection import Action, act
from proteinx_pipelines.master.jobs.standing import Line

router = APIRouter(tags=["jobs"])
LARGEST_BATCH = 10_000
_DISPATCHES = (
    select(dispatches).where(dispatches.c.job_id == bindparam("wanted")).order_by(dispatches.c.token)
)

_JOB: dict[int | str, dict[str, Any]] = {"2XX": {"model": JobDocument}}
"""The document that these routes answer with."""


class Batch(BaseModel):
    """Many jobs at once."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    jobs: list[dict[str, Any]] = Field(min_length=1, max_length=LARGEST_BATCH)
    """Requests as `POST /api/jobs` takes them."""
    mode: Literal["all", "each"] = "all"
    """`all`: one that is wrong refuses all; `each`: the right ones are created, the others are told."""


class JobsPage(BaseModel):
    """A page of a list of jobs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[JobDocument]
    """The jobs, in order."""
    total: int
    """Jobs that the filter finds."""
    page: int
    """Number of the page, from 1."""
    size: int
    """Most jobs on a page."""


class JobChange(BaseModel):
    """What may change of a job that no node has yet; what is absent stays."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [{"priority": 10}]}
    )

    priority: int | None = Field(default=None, ge=-100, le=100)
    """New priority."""
    before: str | None = None
    """Job that it is to go before."""
    after: str | None = None
    """Job that it is to go behind."""
    held: bool | None = None
    """True holds it, false releases it."""


class CloneRequest(BaseModel):
    """What differs in the copy."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"flags": {"split.method": "n_vs_rest"}}]},
    )

    flags: dict[str, Any] = Field(default_factory=dict)
    """Changed flags, nested or dotted."""
    experiment_id: str | None = None
    """Id of the new experiment; made up when null."""
    priority: int | None = Field(default=None, ge=-100, le=100)
    """Its priority; that of the original when null."""


class PlanRequest(BaseModel):
    """An experiment to look ahead at."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    flags: dict[str, Any] | str
    """Its flags."""
    experiment_id: str | None = None
    """Its id, if it exists already."""
    like: str | None = None
    """A job to compare with."""


async def create_job(asked: JobRequest, request: Request, caller: Submitter) -> Response:
    """Check the flags, commit the job, answer with it."""
    return await _CREATE.answer(request, caller, Asked(check(asked), caller.name))


router.add_api_route(
    "/jobs", create_job, methods=["POST"], status_code=201, summary="Create a job", responses=_JOB,
    route_class_override=plain_json(JobRequest, scope("submit"), create_job),
)  # fmt: skip


@router.post("/jobs/batch", status_code=201, summary="Create many jobs")
async def create_jobs(batch: Batch, request: Request, caller: Submitter) -> Response:
    """Create all or each; the answer has, in the order of the request, jobs or problems."""
    asked = [_read(each) for each in batch.jobs]
    wrong = {number: each for number, each in enumerate(asked) if isinstance(each, ProteinxError)}
    if wrong and batch.mode == "all":
        problems = [
            f"jobs[{number}]: {problem}"
            for number, each in wrong.items()
            for problem in getattr(each, "problems", ()) or (str(each),)
        ]
        text = f"{len(wrong)} of {len(asked)} jobs cannot be created, so none was. {'; '.join(problems[:5])}"
        raise HttpProblem(422, "bad_batch", text, problems)

    def change(connection: Connection) -> dict[str, Any]:
        return {"jobs": _created(connection, asked, caller, batch.mode)}

    return await once(request, caller, change, status=201)


@router.get("/jobs", summary="A page of jobs", responses={200: {"model": JobsPage}})
def get_jobs(
    request: Request,
    master: MasterOf,
    _caller: Reader,
    page: Page = 1,
    size: Size = 50,
    sort: str = "-created_at",
) -> Response:
    """Jobs by state, q, source, model, group, unit, node, kind, experiment_id, created_by, since, until, `flag.<name>`,
    `metric.<name>.min` and `.max`; sorted by a column, a metric, or the `order` of the line.
    """  # noqa: D205
    wanted = JobFilter.of_query(request.query_params.multi_items())
    with master.database.reading() as connection:
        return json_answer(list_jobs(connection, wanted, sort=sort, page=page, size=size).document())


@router.post("/jobs/actions", summary="Do a verb to many jobs")
async def act_on_jobs(action: Action, request: Request, caller: Submitter) -> Response:
    """Cancel, hold, release, prioritise, move, retry, clone, delete or restore jobs by id or by filter."""
    if action.action in ("delete", "restore") and "admin" not in caller.scopes:
        raise HttpProblem(403, "scope_missing", f"The action `{action.action}` needs the scope `admin`.")
    return await once(request, caller, lambda c: act(c, action, caller=caller.name).document())


@router.post("/jobs/plan", summary="What an experiment would compute, before it is sent")
def plan_job(asked: PlanRequest, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """Stages that would be computed or reused, as far as the flags tell."""
    flags = parse_flags(asked.flags)
    with master.database.reading() as connection:
        return foreseen(connection, flags, like=asked.like, experiment_id=asked.experiment_id)


@router.get("/jobs/{job_id}", summary="One job", responses=_JOB)
def get_job(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """The job as it is now: where it stands, and every time it was given to a node."""
    with master.database.reading() as connection:
        return _document(connection, job_id)


@router.patch("/jobs/{job_id}", summary="Change priority, place or hold", responses=_JOB)
async def change_job(job_id: str, change: JobChange, request: Request, caller: Submitter) -> Response:
    """Change what is given; all of it or nothing."""
    if change.before is not None and change.after is not None:
        raise HttpProblem(422, "bad_request", "Give `before` or `after`, not both.")

    def apply(connection: Connection) -> dict[str, Any]:
        if change.priority is not None:
            verbs.set_priority(connection, job_id, change.priority)
        if change.before is not None or change.after is not None:
            verbs.move(connection, job_id, before=change.before, after=change.after)
        if change.held is True:
            verbs.hold(connection, job_id, caller=caller.name)
        if change.held is False:
            verbs.release(connection, job_id)
        return _document(connection, job_id)

    return await once(request, caller, apply)


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job", responses=_JOB)
async def cancel_job(job_id: str, request: Request, caller: Submitter) -> Response:
    """End it at once while it waits; ask its node to stop it otherwise."""

    def change(connection: Connection) -> dict[str, Any]:
        verbs.cancel(connection, job_id, caller=caller.name)
        return _document(connection, job_id)

    return await once(request, caller, change)


@router.post("/jobs/{job_id}/retry", status_code=201, summary="Ask for the same work again", responses=_JOB)
async def retry_job(job_id: str, request: Request, caller: Submitter) -> Response:
    """A new job on the same experiment; while it is open, asking again answers with it."""
    return await once(
        request, caller, lambda c: _document(c, verbs.retry(c, job_id, caller=caller.name)), status=201
    )


@router.post(
    "/jobs/{job_id}/clone",
    status_code=201,
    summary="Ask for work like this, with changed flags",
    responses=_JOB,
)
async def clone_job(
    job_id: str, request: Request, caller: Submitter, asked: CloneRequest | None = None
) -> Response:
    """A new job on a new experiment; stages that the change leaves alone are taken over. No body: nothing differs."""
    asked = asked or CloneRequest()
    more = {} if asked.priority is None else {"priority": asked.priority}

    def change(connection: Connection) -> dict[str, Any]:
        made = verbs.clone(
            connection,
            job_id,
            caller=caller.name,
            flags=asked.flags,
            experiment_id=asked.experiment_id,
            **more,
        )
        return _document(connection, made)

    return await once(request, caller, change, status=201)


@router.get("/jobs/{job_id}/plan", summary="What this job computes")
def plan_of_job(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """Stages that it computes or reuses, as far as the flags tell."""
    with master.database.reading() as connection:
        row = one(connection, job_id)
        return foreseen(connection, parse_flags(row["flags"]), experiment_id=row["experiment_id"])


@router.delete("/jobs/{job_id}", summary="Delete a job that has ended")
async def delete_job(job_id: str, request: Request, caller: Admin) -> Response:
    """Put it into the trash, from which it can be restored for seven days; the experiment stays on its node."""

    def change(connection: Connection) -> dict[str, Any]:
        trash.put(connection, job_id, caller=caller.name)
        return {"deleted": job_id}

    return await once(request, caller, change)


@router.post("/jobs/{job_id}/restore", summary="Put a deleted job back", responses=_JOB)
async def restore_job(job_id: str, request: Request, caller: Admin) -> Response:
    """The job as it was, with its log, its files, and the names of its model that no other has got meanwhile."""

    def change(connection: Connection) -> dict[str, Any]:
        trash.restore(connection, job_id)
        return _document(connection, job_id)

    return await once(request, caller, change)


@router.get("/trash", summary="Deleted jobs that can be put back")
def get_trash(master: MasterOf, _caller: Reader, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Each with who deleted it, when, and the seconds for which it can still be restored."""
    with master.database.reading() as connection:
        return page_of(trash.listed(connection), page, size)


def _document(connection: Connection, job_id: str) -> dict[str, Any]:
    row = one(connection, job_id)
    given = [dict(each) for each in connection.execute(_DISPATCHES, {"wanted": job_id}).mappings()]
    return Line(connection).document(row, dispatches=given, result=row["result"])


def _read(document: dict[str, Any]) -> Checked | ProteinxError:
    from pydantic import ValidationError

    try:
        return check(JobRequest.model_validate(document))
    except ValidationError as error:
        found = [f"`{'.'.join(map(str, each['loc']))}`: {each['msg']}" for each in error.errors()]
        return HttpProblem(422, "bad_request", "; ".join(found), found)
    except ProteinxError as error:
        return error


def _created(
    connection: Connection, asked: Sequence[Checked | ProteinxError], caller: Caller, mode: str
) -> list[dict[str, Any]]:
    """The created jobs' documents; in the mode `each`, in its place the problem of one that cannot be."""
    right = [Asked(each, caller.name) for each in asked if not isinstance(each, ProteinxError)]
    made = iter(_create_all(connection, right))
    answers = []
    for each in asked:
        found = each if isinstance(each, ProteinxError) else next(made)
        if isinstance(found, ProteinxError):
            if mode == "all":
                raise found
            found = {"error": {"code": found.code, "message": str(found)}}
        answers.append(found)
    return answers


def _create_all(connection: Connection, asked: Sequence[Asked]) -> list[dict[str, Any] | ProteinxError]:
    """The document of each job that was created, or its error."""
    made, line = create_many(connection, asked), Line(connection)
    line.look_at_new([row for row in made if not isinstance(row, ProteinxError)])
    return [
        row if isinstance(row, ProteinxError) else line.document(row, dispatches=[], result=None)
        for row in made
    ]


_CREATE = OnceTogether(_create_all, status=201)
