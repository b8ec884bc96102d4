"""The ranking of `proteinx compare` as one HTML page."""

from typing import TYPE_CHECKING

from proteinx_pipelines.cli.compare_words import SEEDS_CAPTION, caption, group_gap, names

if TYPE_CHECKING:
    from proteinx_pipelines.services.ranking import Leaderboard


def page(board: "Leaderboard") -> str:
    """The leaderboard as one HTML page that opens anywhere."""
    from html import escape

    from proteinx_pipelines.stages.evaluate.report import page_of
    from proteinx_pipelines.stages.evaluate.tables import (
        Cell,
        Html,
        number,
        table,
        with_all_views,
        with_interval,
    )

    first, rows = board.metrics[0], []
    for row in board.rows:
        cells: list[Cell] = [row.experiment_id, row.title]
        for name in board.metrics:
            low, high = row.intervals[name]
            within = {"source_mean": row.within[name]} if row.within else {}
            cells.append(with_all_views({"value": row.values[name], "low": low, "high": high, **within}))
        if row.difference is None:
            cells += [Html("best"), ""]
        else:
            gap, low, high = row.difference
            share = number(None) if row.beats_best is None else f"{row.beats_best:.0%}"
            cells += [with_interval({"value": gap, "low": low, "high": high}), Html(share)]
        rows.append(cells)
    header = ["experiment", "what", *board.metrics, "less the best", "better in"]
    notes = "".join(f"<li>{escape(note)}</li>" for note in board.notes)
    warned = (
        f'<section class="warnings"><h2>Before quoting a difference</h2><ul>{notes}</ul></section>'
        if notes
        else ""
    )
    body = warned + _groups_html(board)
    if board.rows:
        splits = table(["experiment", "split", "tested variants"],
                       [(row.experiment_id, row.split, row.n_tested) for row in board.rows])  # fmt: skip
        ranking = table(header, rows, caption=caption(board), marked=0)
        body += f'<div class="wide">{ranking}</div><h2>Splits</h2>{splits}'
    count = len(board.rows) or sum(len(group.ids) for group in board.groups)
    return page_of(f"{count} experiments by {first}", body)


def _groups_html(board: "Leaderboard") -> str:
    from proteinx_pipelines.stages.evaluate.tables import Cell, number, table

    if not board.groups:
        return ""
    rows: list[list[Cell]] = [
        [names(group), len(group.ids), group.title,
         *(f"{number(group.means[name])} ± {number(group.deviations[name])}" for name in board.metrics),
         group_gap(group, board.groups[0])]
        for group in board.groups
    ]  # fmt: skip
    header = ["runs", "seeds", "what", *board.metrics, "less the best"]
    return (
        f'<h2>Over seeds</h2><div class="wide">{table(header, rows, caption=SEEDS_CAPTION, marked=0)}</div>'
    )
