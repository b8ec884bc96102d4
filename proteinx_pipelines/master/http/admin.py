"""Routes of the operator: cleaning."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from proteinx_pipelines.master.cleaning.finding import find
from proteinx_pipelines.master.cleaning.removing import remove
from proteinx_pipelines.master.http.access import Admin, MasterOf
from proteinx_pipelines.master.http.slow import slow_work_of

router = APIRouter(tags=["administration"])


class CleanupRequest(BaseModel):
    """How far to clean."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"dry_run": True}, {"dry_run": False, "budget_gb": 50}]},
    )

    dry_run: bool = True
    """True: only say what would go."""
    budget_gb: float | None = Field(default=None, ge=0, le=1e9)
    """Size that the Master's files may have, in units of 10^9 bytes; null removes only what nothing refers to."""
    empty_trash: bool = False
    """True: deleted jobs go for good now; false: those that were deleted more than seven days ago."""


@router.post("/admin/cleanup", summary="Remove files that are not needed")
async def cleanup(
    request: Request, master: MasterOf, _caller: Admin, asked: CleanupRequest | None = None
) -> dict[str, Any]:
    """Remove what nothing refers to and, above a budget, files of older jobs; results, the newest jobs' files, models
    with an alias and data sets stay. Without `dry_run: false` nothing is removed.
    """  # noqa: D205
    asked = asked or CleanupRequest()
    budget = None if asked.budget_gb is None else int(asked.budget_gb * 1e9)
    slow = slow_work_of(request)
    found = await slow.do(find, master, budget, empty_trash=asked.empty_trash)
    freed = 0 if asked.dry_run else await slow.do(remove, master, found)
    return {"dry_run": asked.dry_run, "removed_bytes": freed, **found.as_document()}
