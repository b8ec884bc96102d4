"""Routes of models: list, describe, download, aliases, predict."""

import asyncio
import csv
import io
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection
from starlette.background import BackgroundTask

from proteinx_pipelines.csv_cells import safe_cell
from proteinx_pipelines.master.http.access import MasterOf, Reader, Submitter
from proteinx_pipelines.master.http.downloads import RangedFile, is_known
from proteinx_pipelines.master.http.lists import Page, Size
from proteinx_pipelines.master.http.once import once
from proteinx_pipelines.master.http.problems import HttpProblem, NotFound
from proteinx_pipelines.master.http.slow import slow_work_of
from proteinx_pipelines.master.jobs.listing import JobFilter
from proteinx_pipelines.master.models.aliases import aliases_of, drop_alias, set_alias
from proteinx_pipelines.master.models.listing import (
    FINAL,
    MODEL,
    describe_model,
    find_model,
    list_models,
    model_files,
)
from proteinx_pipelines.master.models.packing import digest_of, pack
from proteinx_pipelines.master.models.predicting import AT_ONCE, PredictRequest, predict_as_job, predict_now

router = APIRouter(tags=["models"])
_ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}


@router.get("/models", summary="A page of models")
def get_models(
    request: Request,
    master: MasterOf,
    _caller: Reader,
    page: Page = 1,
    size: Size = 50,
    sort: str = "-created_at",
    alias: Annotated[str | None, Query(description="Only the model of this name")] = None,
) -> dict[str, Any]:
    """Every model that a job has trained, filtered and sorted as jobs are; `sort=-metric.test/spearman`: best first."""
    given = [each for each in request.query_params.multi_items() if each[0] not in ("alias", "state")]
    return list_models(master, JobFilter.of_query(given), alias=alias, sort=sort, page=page, size=size)


@router.get("/models/{model_id}", summary="One model")
def get_model(model_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """A model by its id, by an alias (`champion`), or by its experiment; with its files and metrics."""
    return describe_model(master, model_id)


@router.head("/models/{model_id}/download", include_in_schema=False)
@router.get("/models/{model_id}/download", summary="A model's files", response_class=Response, responses=_ZIP)
def download_model(model_id: str, request: Request, master: MasterOf, _caller: Reader) -> Response:
    """One ZIP archive: the model of all labelled rows where there is one, else the models of every fold."""
    with master.database.reading() as connection:
        row = find_model(connection, model_id)
    files = model_files(master, row)
    etag = f'"{digest_of(files)}"'
    if is_known(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    root = FINAL if files[0].path.startswith(FINAL) else MODEL
    name = f"{row['experiment_id']}-model"
    place = pack(files, root, name, master.settings.uploads_dir)
    return RangedFile(
        place,
        media_type="application/zip",
        filename=f"{name}.zip",
        headers={"ETag": etag, "Cache-Control": "private, no-cache"},
        stat_result=place.stat(),
        background=BackgroundTask(place.unlink, missing_ok=True),
    )


@router.put("/models/{model_id}/aliases/{name}", summary="Give a model a name")
async def put_alias(model_id: str, name: str, master: MasterOf, _caller: Submitter) -> dict[str, Any]:
    """The name is this model's; whoever had it loses it."""

    def change(connection: Connection) -> dict[str, Any]:
        row = find_model(connection, model_id)
        set_alias(connection, name, row["job_id"])
        return {"model_id": row["job_id"], "aliases": aliases_of(connection, [row["job_id"]])[row["job_id"]]}

    return await master.database.awrite(change)


@router.delete("/models/{model_id}/aliases/{name}", status_code=204, summary="Take a name from a model")
async def delete_alias(model_id: str, name: str, master: MasterOf, _caller: Submitter) -> Response:
    """The model stays; nothing has the name."""

    def change(connection: Connection) -> None:
        if not drop_alias(connection, name, find_model(connection, model_id)["job_id"]):
            raise NotFound("alias", name, f"{model_id} does not have it.")

    await master.database.awrite(change)
    return Response(status_code=204)


@router.post(
    "/models/{model_id}/predict",
    summary="Predict variants",
    responses={
        200: {"content": {"application/json": {}, "text/csv": {}}},
        202: {"description": "A job predicts them"},
    },
)
async def predict(
    model_id: str, asked: PredictRequest, request: Request, master: MasterOf, caller: Submitter
) -> Response:
    """Values of variants: at once for a few, else 202 with a job.

    Each prediction has `mutant`, `sequence`, `prediction`, `deviation`, `low`, `high`, `p_better_than_wild_type`,
    `p_better_than_best`, `mut_num`, `new_positions`, `nearest` and `remarks`. `Accept: text/csv` gives a table. A job's
    predictions are its files `artifacts/design/predictions.parquet`.
    """

    def work() -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
        with master.database.reading() as connection:
            row = find_model(connection, model_id)
        return row, predict_now(master, row, asked)

    row, rows = await slow_work_of(request).do(work)
    if rows is None and asked.as_job is False:
        raise HttpProblem(
            422,
            "too_many_variants",
            f"{len(asked.variants):,} variants cannot be predicted at once: up to {AT_ONCE:,} can, by a model on the "
            "Master's own machine, if it takes less than a minute. Leave `as_job` out, and a job predicts them.",
        )
    if rows is None:
        create = await asyncio.to_thread(predict_as_job, master, row, asked, caller=caller.name)

        def change(connection: Connection) -> dict[str, Any]:
            job_id = create(connection)
            address = f"/api/jobs/{job_id}"
            return {"model_id": row["job_id"], "job_id": job_id, "predictions": None, "job": address}

        answer = await once(request, caller, change, status=202)
        answer.headers["Location"] = json.loads(bytes(answer.body))["job"]
        return answer
    if "text/csv" in request.headers.get("accept", ""):
        return Response(_as_csv(rows), media_type="text/csv; charset=utf-8")
    return JSONResponse({"model_id": row["job_id"], "job_id": None, "predictions": rows})


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0]) if rows else []
    writer.writerow(map(safe_cell, names))
    writer.writerows([safe_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()
