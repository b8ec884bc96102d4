"""Data sets as documents, and their removal."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, true

from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import datasets
from proteinx_pipelines.master.http.problems import Conflict, NotFound
from proteinx_pipelines.master.jobs.states import OPEN
from proteinx_pipelines.master.settings import MasterSettings

_IN_LISTS = (
    "source",
    "rows",
    "missing_scores",
    "offset",
    "template_length",
    "score_range",
    "scores",
    "problems",
)


def find_dataset(connection: Connection, dataset: str) -> dict[str, Any]:
    """The row of a data set, by its id, or by its name: the newest version.

    Raises:
        NotFound: there is none.
    """
    query = (
        select(datasets)
        .where((datasets.c.dataset_id == dataset) | (datasets.c.name == dataset))
        .order_by((datasets.c.dataset_id == dataset).desc(), datasets.c.version.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("dataset", dataset, "`GET /api/datasets` lists them.")
    return dict(row)


def list_datasets(
    connection: Connection, *, q: str = "", page: int = 1, size: int = 50, newest_only: bool = False
) -> dict[str, Any]:
    """A page of data sets, newest first.

    Args:
        connection: to read from.
        q: part of the name.
        page: from 1.
        size: of a page.
        newest_only: whether to leave out versions that have a newer one.
    """
    wanted: list[ColumnElement[bool]] = []
    if q:
        wanted.append(datasets.c.name.icontains(q, autoescape=True))
    if newest_only:
        newer = datasets.alias("newer")
        wanted.append(~exists().where(newer.c.name == datasets.c.name, newer.c.version > datasets.c.version))
    condition = and_(true(), *wanted)
    total = connection.execute(select(func.count()).select_from(datasets).where(condition)).scalar_one()
    query = select(datasets).where(condition).order_by(datasets.c.created_at.desc(), datasets.c.dataset_id)
    rows = connection.execute(query.limit(size).offset((page - 1) * size)).mappings()
    items = [dataset_document(dict(row), in_list=True) for row in rows]
    return {"items": items, "total": int(total), "page": page, "size": size}


def dataset_document(row: Mapping[str, Any], *, in_list: bool = False) -> dict[str, Any]:
    """The document of one data set; in a list without template, histogram and rows."""
    understood = row["understood"]
    kept = {name: understood.get(name) for name in _IN_LISTS} if in_list else understood
    return {
        "dataset_id": row["dataset_id"],
        "name": row["name"],
        "version": row["version"],
        "sha256": row["sha256"],
        "size": row["size"],
        "file_name": row["file_name"],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        **kept,
    }


def content_of(settings: MasterSettings, row: Mapping[str, Any]) -> Path:
    """The file as it was uploaded."""
    return settings.datasets_dir / str(row["dataset_id"]) / str(row["file_name"])


def remove_dataset(connection: Connection, dataset_id: str) -> dict[str, Any]:
    """Remove a version; the caller removes its folder once that is on disk.

    Raises:
        NotFound: there is none of this id.
        Conflict: a job that has not ended needs it.
    """
    row = find_dataset(connection, dataset_id)
    if row["dataset_id"] != dataset_id:
        raise NotFound("dataset", dataset_id, "A version is removed by its id, not by its name.")
    needing = select(jobs.c.job_id).where(jobs.c.dataset == dataset_id, jobs.c.state.in_(OPEN)).limit(1)
    job_id = connection.execute(needing).scalar()
    if job_id is not None:
        raise Conflict("dataset_needed", f"{job_id} needs {row['name']} and has not ended. Cancel it first.")
    connection.execute(delete(datasets).where(datasets.c.dataset_id == dataset_id))
    events.record(connection, "dataset.removed", {"dataset_id": dataset_id, "name": row["name"]})
    return row


def remove_files(settings: MasterSettings, row: Mapping[str, Any]) -> None:
    """Remove the folder of a data set that is not written down any more."""
    shutil.rmtree(settings.datasets_dir / row["dataset_id"], ignore_errors=True)
