"""`proteinx compare`: a leaderboard over experiments, on the terminal, as a page and as a table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.experiment import Experiment
    from proteinx_pipelines.services.ranking import Leaderboard

DEFAULT_METRICS = ("spearman", "mse")


@click.command(
    epilog=examples(
        "proteinx compare gb1-ridge gb1-mlp gb1-gp",
        "proteinx compare --group 'gb1-*' --metric ndcg --html board.html --csv board.csv",
    )
)
@click.argument("names", nargs=-1, metavar="[EXPERIMENT]...")
@click.option("--group", help="Also those whose id matches (gb1-*), or whose ext.group is this.")
@click.option(
    "--metric", "metrics", multiple=True, help="Metric; the first one ranks.  [default: spearman, mse]"
)
@click.option(
    "--resamples", type=click.IntRange(min=10), default=1000, show_default=True, help="Bootstrap resamples."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the bootstrap."
)
@click.option("--html", type=click.Path(path_type=Path), help="Write a page.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write a table.")
def compare(
    names: tuple[str, ...],
    group: str | None,
    metrics: tuple[str, ...],
    resamples: int,
    seed: int,
    html: Path | None,
    csv_file: Path | None,
) -> None:
    """Rank experiments on the variants that all of them tested.

    An EXPERIMENT is an id of this WORKDIR or the path of an experiment's directory. Differences to the best have
    paired bootstrap intervals: all see the same resamples.
    """
    from proteinx_pipelines.experiment_dir.files import write_text
    from proteinx_pipelines.services.ranking import rank_experiments

    try:
        board = rank_experiments(
            _experiments(names, group), metrics or DEFAULT_METRICS, resamples=resamples, seed=seed
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _print(board)
    if csv_file is not None:
        _write_csv(board, csv_file)
    if html is not None:
        write_text(html, page(board))


def _experiments(names: tuple[str, ...], group: str | None) -> "list[Experiment]":
    from proteinx_pipelines.experiment import open_experiment

    chosen = [open_experiment(name) for name in names]
    if group is not None:
        chosen += _in_group(group)
    return list({each.directory.root.resolve(): each for each in reversed(chosen)}.values())[::-1]


def _in_group(group: str) -> "list[Experiment]":
    """Finished experiments of this WORKDIR that belong to a group."""
    import fnmatch

    from proteinx_pipelines.errors import InputError
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.settings import load_settings

    found = []
    for directory in ExperimentDir.all(load_settings().experiments_dir):
        if directory.is_hidden or not directory.report_json.is_file():
            continue
        each = open_experiment(directory.root)
        if fnmatch.fnmatchcase(each.id, group) or each.flags.ext.get("group") == group:
            found.append(each)
    if not found:
        raise InputError(
            f"No finished experiment belongs to the group {group!r}: none has an id like it, or `ext.group` {group!r}. "
            "`proteinx list` shows what there is."
        )
    return found


def _print(board: "Leaderboard") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, number, table

    first = board.metrics[0]
    several = [f"{first} within sources"] if any(row.within for row in board.rows) else []
    rows = table(["experiment", "what", *board.metrics, *several, f"{first} less the best", "better in"])
    for row in board.rows:
        low, high = row.intervals[first]
        shown = [f"{number(row.values[first])} [{number(low)}, {number(high)}]"]
        shown += [number(row.values[name]) for name in board.metrics[1:]]
        shown += [number(row.within[first]) for _ in several]
        gap = "best" if row.difference is None else "{} [{}, {}]".format(*map(number, row.difference))
        better = "" if row.beats_best is None else f"{row.beats_best:.0%}"
        rows.add_row(escape(row.experiment_id), escape(row.title), *[text.replace("[", "\\[") for text in shown],
                     gap.replace("[", "\\["), better)  # fmt: skip
    screen = console()
    screen.print(rows)
    screen.print(_caption(board), markup=False)
    for note in board.notes:
        screen.print(f"Note: {note}", markup=False)


def _caption(board: "Leaderboard") -> str:
    return (
        f"{board.n_common:,} variants that all of them tested; in brackets {100 * board.level:g} % bootstrap "
        f"intervals, {board.resamples:,} resamples, paired. 'better in': in which share of them it beats the best."
        + (" ◇, 'within sources': mean of the values within each source." if board.rows[0].within else "")
    )


def _write_csv(board: "Leaderboard", file: Path) -> None:
    import csv
    import io

    from proteinx_pipelines.experiment_dir.files import write_text
    from proteinx_pipelines.services.ranking import as_records

    records, text = as_records(board), io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_text(file, text.getvalue())


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
    splits = table(["experiment", "split", "tested variants"],
                   [(row.experiment_id, row.split, row.n_tested) for row in board.rows])  # fmt: skip
    ranking = table(header, rows, caption=_caption(board), marked=0)
    body = f'{warned}<div class="wide">{ranking}</div><h2>Splits</h2>{splits}'
    return page_of(f"{len(board.rows)} experiments by {first}", body)
