"""Routes of jobs: create, list, one."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection, func, select

from proteinx_pipelines.master.database.tables import jobs
from proteinx_pipelines.master.http.access import MasterOf, Reader, Submitter
from proteinx_pipelines.master.http.problems import NotFound
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.jobs.views import job_document

router = APIRouter(tags=["jobs"])


@router.post("/jobs", status_code=201, summary="Create a job")
async def create_job(request: JobRequest, master: MasterOf, caller: Submitter) -> dict[str, Any]:
    """Check the flags, commit the job, answer with it."""
    checked = check(request)

    def change(connection: Connection) -> dict[str, Any]:
        job_id = create(connection, checked, caller=caller.name)
        return job_document(one(connection, job_id))

    return await master.database.awrite(change)


@router.get("/jobs/{job_id}", summary="One job")
def get_job(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """The job as it is now."""
    with master.database.reading() as connection:
        return job_document(one(connection, job_id))


@router.get("/jobs", summary="A page of jobs")
def list_jobs(
    master: MasterOf,
    _caller: Reader,
    page: int = 1,
    size: int = 50,
) -> dict[str, Any]:
    """Jobs, newest first."""
    with master.database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(jobs)).scalar_one()
        query = select(jobs).order_by(jobs.c.number.desc()).limit(size).offset((page - 1) * size)
        rows = connection.execute(query).mappings().all()
    return {"items": [job_document(dict(row)) for row in rows], "total": total, "page": page, "size": size}


def one(connection: Connection, job_id: str) -> Any:
    """The row of a job.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("job", job_id, "`GET /api/jobs` lists them.")
    return row
