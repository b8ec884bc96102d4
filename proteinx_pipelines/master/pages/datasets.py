"""The pages of data sets: upload by drag and drop; did my file go in rightly."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.datasets.listing import dataset_document, find_dataset, list_datasets
from proteinx_pipelines.master.datasets.reading import ReadingWishes
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.pages.frame import PageRoute, page, page_number
from proteinx_pipelines.pages.numbers import plain

if TYPE_CHECKING:
    from proteinx_pipelines.pages.figures.figure import Figure

router = APIRouter(route_class=PageRoute)
SIZE = 50
_POSITION = re.compile(r"[A-Z*](-?\d+)")
_SHOWN_APART = ("notes", "options")


@router.get("/datasets")
def show(request: Request, master: MasterOf, caller: Reader, q: str = "") -> Response:
    """All data sets, newest first, below the place to drop a file."""
    with master.database.reading() as connection:
        found = list_datasets(connection, q=q, page=page_number(request), size=SIZE)
    most = master.settings.max_upload_bytes
    return page(
        request, caller, "datasets.html", found=found, q=q, most=most, options=_options(), pages=_pages(found)
    )


@router.get("/datasets/{dataset_id}")
def one(dataset_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """What was understood of one."""
    with master.database.reading() as connection:
        row = find_dataset(connection, dataset_id)
        versions = [
            each
            for each in list_datasets(connection, q=row["name"], size=1000)["items"]
            if each["name"] == row["name"]
        ]
    found: dict[str, Any] = defaultdict(lambda: None, dataset_document(row))
    understood = [
        (name, plain(value))
        for name, value in (found.get("understood") or {}).items()
        if value not in ("", [], {}, None) and name not in _SHOWN_APART
    ]
    return page(
        request,
        caller,
        "dataset.html",
        found=found,
        versions=versions,
        understood=understood,
        figures=[each for each in (histogram(found), coverage(found)) if each is not None],
        covered=len(found.get("per_position") or {}),
    )


def histogram(found: Mapping[str, Any]) -> "Figure | None":
    """Distribution of the scores; None where there are none."""
    import numpy as np

    from proteinx_pipelines.pages.figures.curve import Line, category, curve

    counts, edges = (
        (found.get("histogram") or {}).get("counts") or [],
        (found.get("histogram") or {}).get("edges") or [],
    )
    if len(edges) != len(counts) + 1 or not counts:
        return None
    line = Line("", np.asarray(edges, np.float64), np.asarray(counts, np.float64), category(0), steps=True)
    return curve(
        "scores", [line], title="Scores", caption=f"{sum(counts):,} rows with a score.",
        alternative=f"Histogram of {sum(counts):,} scores from {edges[0]:g} to {edges[-1]:g}",
        x_label="score", y_label="rows",
    )  # fmt: skip


def coverage(found: Mapping[str, Any]) -> "Figure | None":
    """Rows that change each position, in the numbering of the file; None where nothing is known of positions."""
    import numpy as np

    from proteinx_pipelines.pages.figures.curve import Line, category, curve

    rows = {
        int(match[1]): n
        for name, n in (found.get("per_position") or {}).items()
        if (match := _POSITION.match(name))
    }
    if not rows:
        return None
    first = min([*rows, 1 + int(found.get("offset") or 0)])
    last = max([*rows, first + int(found.get("template_length") or 1) - 1])
    heights = np.array([rows.get(at, 0) for at in range(first, last + 1)], np.float64)
    edges = np.arange(first, last + 2, dtype=np.float64) - 0.5
    return curve(
        "coverage", [Line("", edges, heights, category(2), steps=True)], title="Coverage of positions",
        caption=f"{len(rows):,} of {last - first + 1:,} positions are changed by at least one row.",
        alternative=f"Rows by position, from {first} to {last}; at most {int(heights.max()):,}",
        x_label="position", y_label="rows",
    )  # fmt: skip


def _options() -> list[tuple[str, str, bool]]:
    """Name, meaning and whether it is a switch, of what a sender may state about a file."""
    fields = ReadingWishes.model_fields
    return [(name, field.description or "", field.annotation is bool) for name, field in fields.items()]


def _pages(found: Mapping[str, Any]) -> int:
    return max(1, -(-int(found["total"]) // int(found["size"])))
