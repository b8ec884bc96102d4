"""`proteinx compare`: a leaderboard of experiments on the terminal, as an HTML page and as a table."""

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.compare_words import SEEDS_CAPTION, caption, group_gap, means, names
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from proteinx_pipelines.experiment import Experiment
    from proteinx_pipelines.resampling.units import Unit
    from proteinx_pipelines.services.ranking import Leaderboard

DEFAULT_METRICS = ("spearman", "mse")


@click.command(
    epilog=examples(
        "proteinx compare gb1-ridge gb1-mlp gb1-gp",
        "proteinx compare gb1-ridge gb1-mlp --master http://master:8000",
        "proteinx compare --group 'gb1-*' --metric ndcg --html board.html --csv board.csv",
    )
)
@click.argument("names", nargs=-1, metavar="[EXPERIMENT]...", shell_complete=experiment_ids)
@click.option("--group", help="Add experiments whose id matches (gb1-*) or whose ext.group equals this.")
@click.option(
    "--metric", "metrics", multiple=True, help="Metric; the first one ranks.  [default: spearman, mse]"
)
@click.option(
    "--resamples", type=click.IntRange(min=10), default=1000, show_default=True, help="Bootstrap resamples."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the bootstrap."
)
@click.option(
    "--resample", type=click.Choice(["variants", "positions"]),
    help="What is drawn.  [default: as in the experiments' own reports, positions if they differ]",
)  # fmt: skip
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write an HTML page to this file.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write a CSV table to this file.")
def compare(
    names: tuple[str, ...],
    group: str | None,
    metrics: tuple[str, ...],
    resamples: int,
    seed: int,
    resample: "Unit | None",
    master_url: str | None,
    as_json: bool,
    html: Path | None,
    csv_file: Path | None,
) -> None:
    """Rank experiments on the variants that all of them tested.

    An EXPERIMENT is an id in this WORKDIR or the path of an experiment directory. Differences to the best experiment
    have paired bootstrap intervals: all experiments use the same resamples. Runs that differ only in their seeds are
    shown on one line, with mean and standard deviation; two such lines are compared seed by seed.

    At a Master, an EXPERIMENT is a job's id or its experiment's, and --group one of its groups. What is compared is
    fetched, and compared here.
    """
    from proteinx_pipelines.cli.compare_page import page
    from proteinx_pipelines.experiment_dir.files import json_ready, write_text
    from proteinx_pipelines.services.ranking import rank_experiments

    with _chosen(names, group, master_url, html) as chosen:
        try:
            board = rank_experiments(
                chosen, metrics or DEFAULT_METRICS, resamples=resamples, seed=seed, resample=resample
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if as_json:
        import json

        click.echo(json.dumps(json_ready(dataclasses.asdict(board)), indent=1, ensure_ascii=False))
    else:
        _print(board)
    if csv_file is not None:
        _write_csv(board, csv_file)
    if html is not None:
        write_text(html, page(board, chosen, html))


@contextmanager
def _chosen(
    names: tuple[str, ...], group: str | None, master_url: str | None, html: Path | None
) -> "Iterator[list[Experiment]]":
    """The experiments: of this WORKDIR, or fetched from a Master, unless a folder is named."""
    if master_url is None or any(Path(name).is_dir() for name in names):
        yield _experiments(names, group)
        return
    if html is not None:
        raise click.UsageError(
            f"--html: the pages of a Master's experiments are at the Master, {master_url.rstrip('/')}/compare?"
            f"{'&'.join(f'id={name}' for name in names) or 'id=JOB'}. Leave out --html, or --master."
        )
    from proteinx_pipelines.cli.files_at_master import experiments_of

    with experiments_of(master_url, names, group) as found:
        yield found


def _experiments(names: tuple[str, ...], group: str | None) -> "list[Experiment]":
    from proteinx_pipelines.experiment import experiments_in_group, open_experiment

    chosen = [open_experiment(name) for name in names]
    if group is not None:
        chosen += experiments_in_group(group)
    return list({each.directory.root.resolve(): each for each in reversed(chosen)}.values())[::-1]


def _print(board: "Leaderboard") -> None:
    from proteinx_pipelines.cli.terminal import console

    screen = console()
    if board.groups:
        _print_groups(screen, board)
    if board.rows:
        _print_rows(screen, board)
    for note in board.notes:
        screen.print(f"Note: {note}", markup=False)


def _print_groups(screen: "Console", board: "Leaderboard") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import table

    first = board.metrics[0]
    rows = table(["runs", "seeds", "what", *board.metrics, f"{first} less the best"], ranks={"what": 1})
    for group in board.groups:
        rows.add_row(
            escape(names(group)),
            str(len(group.ids)),
            escape(group.title),
            *means(board, group),
            group_gap(group, board.groups[0]),
        )
    screen.print(rows)
    screen.print(SEEDS_CAPTION, markup=False)


def _print_rows(screen: "Console", board: "Leaderboard") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import number, table

    first = board.metrics[0]
    several = [f"{first} within sources"] if any(row.within for row in board.rows) else []
    header = ["experiment", "what", *board.metrics, *several, f"{first} less the best", "better in"]
    rows = table(header, ranks={"what": 1})
    for row in board.rows:
        low, high = row.intervals[first]
        shown = [f"{number(row.values[first])} [{number(low)}, {number(high)}]"]
        shown += [number(row.values[name]) for name in board.metrics[1:]]
        shown += [number(row.within[first]) for _ in several]
        gap = "best" if row.difference is None else "{} [{}, {}]".format(*map(number, row.difference))
        better = "" if row.beats_best is None else f"{row.beats_best:.0%}"
        rows.add_row(escape(row.experiment_id), escape(row.title), *[text.replace("[", "\\[") for text in shown],
                     gap.replace("[", "\\["), better)  # fmt: skip
    screen.print(rows)
    screen.print(caption(board), markup=False)


def _write_csv(board: "Leaderboard", file: Path) -> None:
    import csv
    import io

    from proteinx_pipelines.csv_cells import safe_cell
    from proteinx_pipelines.experiment_dir.files import write_text
    from proteinx_pipelines.services.ranking import as_records

    records, text = as_records(board), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys(name for record in records for name in record))
    writer.writerow(map(safe_cell, names))
    writer.writerows([safe_cell(record.get(name)) for name in names] for record in records)
    write_text(file, text.getvalue())
