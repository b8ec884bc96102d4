"""Routes of where a job comes from and what it proposes."""

import dataclasses
from typing import Any

from fastapi import APIRouter

from proteinx_pipelines.master.artifacts.lineage import lineage_of
from proteinx_pipelines.master.artifacts.plates import plates_of, proposals_of
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.finding import find_job

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}/lineage", summary="Where a job's metrics come from")
def get_lineage(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """Stages back to the measured rows, with keys, digests and who computed them; `broken` is empty if they fit."""
    return dataclasses.asdict(lineage_of(master, find_job(master.database, job_id)))


@router.get("/jobs/{job_id}/proposals", summary="Variants that a job proposes, by well")
def get_proposals(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """Lines of `artifacts/design/proposals.csv`, controls first, and the size of the plates."""
    row = find_job(master.database, job_id)
    rows = proposals_of(master, row)
    plates = plates_of(rows, row["flags"].get("design", {}).get("plate", 96))
    return {"items": rows, "total": len(rows), "plates": [len(p.letters) * p.columns for p in plates]}
