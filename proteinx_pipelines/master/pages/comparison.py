"""The compare page: is A really better than B; only the flags that differ; curves over each other."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.experiment_dir.layout import FIGURES_JSON, PREDICTIONS, REPORT_HTML
from proteinx_pipelines.flags.changes import differing_from_defaults
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.master.artifacts.index import file_of
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.pages.frame import PageRoute, language_of, page
from proteinx_pipelines.master.pages.outcome import report_of
from proteinx_pipelines.master.pages.words import Words

if TYPE_CHECKING:
    import pandas as pd

    from proteinx_pipelines.pages.figures.figure import Figure

router = APIRouter(route_class=PageRoute)
MOST = 50
"""Jobs on one page."""
METRICS = ("spearman", "mse")


class JobResult:
    """A job's experiment as the ranking reads it (`services.ranking.Evaluated`)."""

    def __init__(self, master: Master, row: Mapping[str, Any], name: str) -> None:
        self._master, self._row, self.id = master, row, name

    @cached_property
    def flags(self) -> ExperimentFlags:
        """Its flags."""
        return parse_flags(self._row["flags"])

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """`report.json`; empty where there is none."""
        return report_of(self._master, self._row) or {}

    @cached_property
    def predictions(self) -> "pd.DataFrame":
        """Its predictions of variants."""
        import pandas as pd

        return pd.read_parquet(file_of(self._master, self._row, PREDICTIONS).place)

    @cached_property
    def figures(self) -> "list[Figure]":
        """The pictures of its report; none where they cannot be read."""
        from proteinx_pipelines.pages.figures.files import pictures_of

        try:
            return pictures_of(file_of(self._master, self._row, FIGURES_JSON).place.read_bytes())
        except (ProteinxError, OSError, ValueError):
            return []

    @property
    def is_evaluated(self) -> bool:
        """True if there are predictions and a report."""
        try:
            file_of(self._master, self._row, PREDICTIONS)
        except ProteinxError:
            return False
        return bool(self.report)


@router.get("/compare")
def show(request: Request, master: MasterOf, caller: Reader, metric: str | None = None) -> Response:
    """Compare the jobs named by `id`, in that order; `metric` ranks."""
    ids = list(dict.fromkeys(request.query_params.getlist("id")))
    if len(ids) > MOST:
        raise HttpProblem(
            422, "too_many", f"{len(ids)} jobs are named; at most {MOST} fit beside each other."
        )
    with master.database.reading() as connection:
        rows = [one(connection, job_id) for job_id in ids]
    results = [JobResult(master, row, name) for row, name in zip(rows, _names(rows), strict=True)]
    evaluated = [each for each in results if each.is_evaluated]
    context = (
        _compared(evaluated, metric, Words(language_of(request)), ids, rows) if len(evaluated) > 1 else None
    )
    return page(
        request,
        caller,
        "comparison.html",
        rows=rows,
        compared=context,
        without=[each.id for each in results if each not in evaluated],
        flags=None if context else _flags_alone(rows),
        metrics=sorted({name for each in evaluated for name in each.report["metrics"]["test"]["values"]}),
        metric=metric or METRICS[0],
    )


def _compared(
    evaluated: Sequence[JobResult],
    metric: str | None,
    words: Words,
    ids: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What `compare_parts.html` shows of at least two evaluated jobs."""
    from proteinx_pipelines.pages.comparing import Compared, comparison, seeds_table
    from proteinx_pipelines.services.differences import differences
    from proteinx_pipelines.services.ranking import rank_experiments

    wanted = [metric, *(name for name in METRICS if name != metric)] if metric else list(METRICS)
    try:
        board = rank_experiments(evaluated, wanted)
    except ValueError as error:
        raise HttpProblem(422, "not_comparable", str(error)) from error
    by_name = {each.id: each for each in evaluated}
    job_of = dict(zip(_names(rows), ids, strict=True))
    compared = [
        Compared(
            each.id,
            each.report["experiment"].get("changed_flags", {}),
            each.report["experiment"].get("flags", {}),
            f"/api/jobs/{job_of[each.id]}/artifacts/{REPORT_HTML}",
            each.figures,
        )
        for each in evaluated
    ]
    best = [by_name[row.experiment_id] for row in board.rows[:2]]
    caption = words(
        "compare.caption", n=board.n_common, level=f"{100 * board.level:g}", resamples=board.resamples
    )
    return comparison(
        board,
        compared,
        caption=caption,
        seeds=seeds_table(board) if board.groups else None,
        disagreement=differences(best[0], best[1]) if len(best) > 1 else None,
    )


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Experiment of each job; with the job's id where two jobs worked on the same one."""
    ids = [row["experiment_id"] for row in rows]
    return [
        row["experiment_id"]
        if ids.count(row["experiment_id"]) == 1
        else f"{row['experiment_id']} ({row['job_id']})"
        for row in rows
    ]


def _flags_alone(rows: Sequence[Mapping[str, Any]]) -> Any:
    from proteinx_pipelines.pages.comparing import Compared, differing_flags, differing_table

    found = [
        Compared(name, differing_from_defaults(row["flags"]), row["flags"], "", ())
        for row, name in zip(rows, _names(rows), strict=True)
    ]
    return differing_table([each.experiment_id for each in found], differing_flags(found))
