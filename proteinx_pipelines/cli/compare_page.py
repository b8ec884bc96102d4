"""The ranking of `proteinx compare` as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

from proteinx_pipelines.cli.compare_words import SEEDS_CAPTION, caption, group_gap, means, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proteinx_pipelines.experiment import Experiment
    from proteinx_pipelines.services.ranking import Leaderboard


def page(board: "Leaderboard", experiments: "Sequence[Experiment]", beside: Path) -> str:
    """The leaderboard as one self-contained HTML page; links to reports are relative to the page's folder."""
    from proteinx_pipelines.pages.comparing import Compared, comparison_page
    from proteinx_pipelines.pages.table import Cell, Table
    from proteinx_pipelines.services.differences import differences

    first = board.groups[0] if board.groups else None
    seeds: list[list[Cell]] = [
        [names(group), len(group.ids), group.title, *means(board, group), group_gap(group, first or group)]
        for group in board.groups
    ]
    header = ["runs", "seeds", "what", *board.metrics, "less the best"]

    compared = [
        Compared(
            experiment_id=each.id,
            flags=each.report["experiment"].get("changed_flags", {}),
            tree=each.report["experiment"].get("flags", {}),
            report=_address(each.directory.report_html, beside.parent),
            figures=each.figures if each.directory.figures.is_file() else [],
        )
        for each in experiments
    ]
    table = Table("seeds", "Over seeds", header, seeds, SEEDS_CAPTION, main=0) if seeds else None
    by_id = {each.id: each for each in experiments}
    best = [by_id[row.experiment_id] for row in board.rows[:2]]
    apart = differences(best[0], best[1]) if len(best) > 1 else None
    return comparison_page(board, compared, caption=caption(board), seeds=table, disagreement=apart)


def _address(report: Path, folder: Path) -> str:
    """The report's path relative to the page's folder; empty when there is no report."""
    from urllib.parse import quote

    if not report.is_file():
        return ""
    target, start = report.resolve(), folder.resolve()
    shared = next(parent for parent in (start, *start.parents) if target.is_relative_to(parent))
    steps = [".."] * len(start.relative_to(shared).parts)
    return quote("/".join([*steps, *target.relative_to(shared).parts]))
