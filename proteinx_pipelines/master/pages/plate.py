"""The page of a job's proposals: which variants to order, in which well, and why."""

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.artifacts.plates import PROPOSALS, SHADES, plates_of, proposals_of
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)
_NUMBERS = ("prediction", "low", "high", "p_better_than_wild_type", "p_better_than_best", "stability")


@router.get("/jobs/{job_id}/plate")
def show(job_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """A map of each plate, and a row for each well with its reason."""
    row = find_job(master.database, job_id)
    rows = [_readable(each) for each in proposals_of(master, row)]
    design = parse_flags(row["flags"]).design
    return page(
        request,
        caller,
        "plate.html",
        job=row,
        rows=rows,
        plates=plates_of(rows, design.plate),
        n_proposed=len({each.get("rank") for each in rows} - {"0"}),
        n_asked=design.n,
        numbers=[name for name in _NUMBERS if any(each.get(name) for each in rows)],
        n_controls=sum(each.get("rank") == "0" for each in rows),
        shades=range(SHADES),
        table=f"/api/jobs/{row['job_id']}/artifacts/{PROPOSALS}?download=true",
    )


def _readable(row: dict[str, str]) -> dict[str, str]:
    """A line whose numbers are cut to four significant digits."""
    return {name: _short(value) if name in _NUMBERS else value for name, value in row.items()}


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text
