"""The page of one job: is it good, can it be trusted, what next; its stages, log, curves, files, plan, attempts."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, select

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.experiment_dir.layout import REPORT_JSON
from proteinx_pipelines.flags.changes import differing_from_defaults
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.master.artifacts.index import files_of
from proteinx_pipelines.master.artifacts.plates import has_proposals
from proteinx_pipelines.master.database.job_tables import dispatches
from proteinx_pipelines.master.database.tables import datasets, groups
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.foreseen import foreseen
from proteinx_pipelines.master.jobs.standing import Line
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.pages.frame import FRAGMENT, PageRoute, page
from proteinx_pipelines.master.pages.outcome import outcome_of
from proteinx_pipelines.pipeline.stages import stages_of

router = APIRouter(route_class=PageRoute)


@router.get("/jobs/{job_id}")
def show(job_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """The page; its part `standing` is what changes while the job runs."""
    with master.database.reading() as connection:
        row = one(connection, job_id)
        job = Line(connection).document(row)
        flags = _readable(row["flags"])
        attempts = _attempts(connection, job_id)
        names = _names(connection, row)
        plan = None
        if flags is not None and job["state"] in ("HELD", "WAITING", "ASSIGNED"):
            plan = foreseen(connection, flags, experiment_id=row["experiment_id"])
    is_part = request.headers.get(FRAGMENT) == "standing"
    return page(
        request,
        caller,
        "job_standing.html" if is_part else "job.html",
        job=job,
        stages=stage_rows(job, flags, row["result"] or {}, plan),
        attempts=attempts,
        names=names,
        is_run=row["kind"] == "run",
        outcome=outcome_of(master, row) if job["state"] == "SUCCEEDED" else None,
        has_ended=job["state"] in ENDED,
        has_plate=job["state"] == "SUCCEEDED" and has_proposals(master, row),
        changed=differing_from_defaults(row["flags"]),
        flags_text=json.dumps(row["flags"], indent=1, ensure_ascii=False),
    )


@router.get("/jobs/{job_id}/files")
def files(job_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """The files of a job: a part of its page that takes a moment."""
    with master.database.reading() as connection:
        row = one(connection, job_id)
    folders: dict[str, list[Any]] = {}
    for file in files_of(master, row):
        folders.setdefault(str(PurePosixPath(file.path).parent).removeprefix("."), []).append(file)
    opened = str(PurePosixPath(REPORT_JSON).parent)
    return page(
        request, caller, "job_files.html", folders=list(folders.items()), opened=opened, job_id=job_id
    )


def stage_rows(
    job: dict[str, Any], flags: ExperimentFlags | None, result: dict[str, Any], plan: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Each stage with what it did, does or will do: `done`, `now`, `ahead`, `failed` or `left`.

    Args:
        job: its document.
        flags: its flags, which say what stages it has; None for a job without stages, or an unreadable one.
        result: as the node gave it; empty while it has not ended.
        plan: what is foreseen, for a job that has not begun.
    """
    names = [stage.name for stage in stages_of(flags)] if flags is not None else []
    actions = {each["stage"]: each for each in (plan or {}).get("stages", ())}
    told = result.get("stages") or {}
    current = names.index(job["stage"]) if job["stage"] in names else None
    rows = []
    for place, name in enumerate(names):
        state = _stage_state(job["state"], place, current, is_told=name in told)
        rows.append({"name": name, "state": state, "action": told.get(name), "plan": actions.get(name)})
    return rows


def _stage_state(state: str, place: int, current: int | None, *, is_told: bool) -> str:
    if state == "SUCCEEDED" or is_told:
        return "done"
    if current is None:
        return "ahead" if state not in ENDED else "left"
    if place < current:
        return "done"
    if place > current:
        return "ahead" if state not in ENDED else "left"
    return {"RUNNING": "now", "FAILED": "failed"}.get(state, "left" if state in ENDED else "ahead")


def _readable(flags: dict[str, Any]) -> ExperimentFlags | None:
    """Flags as this version reads them; None where it cannot: a page is shown all the same."""
    try:
        return parse_flags(flags)
    except ProteinxError:
        return None


def _attempts(connection: Connection, job_id: str) -> list[dict[str, Any]]:
    query = select(dispatches).where(dispatches.c.job_id == job_id).order_by(dispatches.c.token)
    return [dict(row) for row in connection.execute(query).mappings()]


def _names(connection: Connection, row: Mapping[str, Any]) -> dict[str, str]:
    """Names of the group and the data set of a job, by their ids."""
    found = {}
    for table, key, value in (
        (groups, groups.c.group_id, row["group_id"]),
        (datasets, datasets.c.dataset_id, row["dataset"]),
    ):
        name = connection.execute(select(table.c.name).where(key == value)).scalar() if value else None
        if name is not None:
            found[value] = str(name)
    return found
