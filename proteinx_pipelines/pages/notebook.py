"""Notebook card of an experiment with its conclusion, metrics and picture, without script."""

from collections.abc import Mapping, Sequence
from typing import Any

from proteinx_pipelines.pages.comparing import Board, ranking_table, seeds_table
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.render import environment
from proteinx_pipelines.pages.report_words import conclusion, title_of


def experiment_html(
    experiment_id: str, status: str, report: Mapping[str, Any] | None, figures: Sequence[Figure]
) -> str:
    """HTML of one experiment.

    Args:
        experiment_id: its id.
        status: as last written.
        report: what `report.json` holds; None where there is none yet.
        figures: pictures to show below.
    """
    return (
        environment()
        .get_template("experiment.html")
        .render(
            experiment_id=experiment_id,
            status=status,
            title=title_of(report) if report else "",
            conclusion=conclusion(report) if report else "There is no report yet.",
            summary=report["summary"] if report else {},
            figures=[figure._repr_html_() for figure in figures],  # the notebook's own protocol
        )
    )


def leaderboard_html(board: Board) -> str:
    """Return HTML of a leaderboard, without script."""
    tables = [ranking_table(board, ""), seeds_table(board)]
    return environment().get_template("leaderboard.html").render(tables=tables, notes=board.notes)
