"""`proteinx list`: every experiment in one line."""

import json
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import conditions
from proteinx_pipelines.cli.completing import conditions as conditions_of_rows
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.services.listing import Row
    from proteinx_pipelines.settings import Settings

STATES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")
"""Those of `services.listing`, which takes longer to load than a help text may."""
_RANKS = {
    "flags": 9, "took": 8, "split": 7, "prio": 6, "embedding": 5, "gen": 4, "received": 3, "model": 2, "source": 1,
}  # fmt: skip
"""Columns dropped on a narrow screen, highest rank first."""
_LONGEST_FLAGS = 80


@click.command(
    "list",
    epilog=examples(
        "proteinx list",
        "proteinx list --state failed",
        "proteinx list --where model=gp --where 'test/spearman>0.6' --sort -test/spearman",
        "proteinx list --where split.seed=3 --json --limit 1000",
    ),
)
@click.option(
    "--state", type=click.Choice(STATES, case_sensitive=False), help="Only experiments in this state."
)
@click.option(
    "--where", "conditions", multiple=True, metavar="COND", shell_complete=conditions_of_rows,
    help="Only rows that meet a condition on a field, a metric or a flag; = != < <= > >= ~ (contains). Repeatable.",
)  # fmt: skip
@click.option(
    "--sort",
    metavar="NAME",
    shell_complete=conditions,
    help="Sort by a field, a metric or a flag; -NAME descending.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="Largest number of rows."
)
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per experiment.")
def listing(
    state: str | None, conditions: tuple[str, ...], sort: str | None, limit: int, master_url: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """List experiments, newest first: queued experiments, refused messages and local runs.

    Shows the newest generation of each. A waiting experiment has its place, its expected end and its reason for
    waiting. A narrow screen drops columns; --json has everything.
    """
    from proteinx_pipelines.node.lifecycle.service_ports import (
        NodeDirectories,
        NodePlanner,
        NodeQueue,
        open_lives,
    )
    from proteinx_pipelines.node.talking.master_jobs import waiting_jobs
    from proteinx_pipelines.services.line import places
    from proteinx_pipelines.services.listing import list_experiments
    from proteinx_pipelines.settings import load_settings

    if master_url is not None:
        from proteinx_pipelines.cli.at_master import listing as list_there

        list_there(master_url, state=state, conditions=conditions, sort=sort, limit=limit, as_json=as_json)
        return
    settings = load_settings()
    directories = NodeDirectories(settings)
    lives = open_lives(settings) if settings.state_path.is_file() or not directories.ids() else None
    waits = lives is not None and bool(lives.in_state("PENDING", limit=1))
    heard = NodeQueue(settings).is_heard() if waits else True
    line = places(lives, NodePlanner(settings).past_stages(), heard=heard) if lives is not None else {}
    found = list_experiments(
        lives, directories, line, state=state, where=conditions, sort=sort, limit=limit,
        at_master=waiting_jobs(settings),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps([row.document() for row in found], indent=1, ensure_ascii=False))
    elif not found:
        narrowed = " meet this" if conditions else f" are {state}" if state else " yet"
        click.echo(f"No experiments{narrowed}.")
    else:
        _print_table(found)
    _tell_undecided(settings)


def _tell_undecided(settings: "Settings") -> None:
    """Print the messages that the node has claimed but not decided: no row shows them yet."""
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.health.queues import in_words, undecided

    try:
        left = undecided(settings)
    except QueueUnavailable:
        return  # the list shows what is known locally
    if left:
        click.echo(f"{in_words(left)}. `proteinx doctor` says more.", err=True)


def _print_table(found: "list[Row]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import ago, console, duration, seconds_between, state_text, table

    columns = ("experiment", "gen", "state", "stage / result", "source", "model", "embedding", "split", "prio",
               "received", "took", "flags")  # fmt: skip
    rows = table(columns, ranks=_RANKS)
    for row in found:
        rows.add_row(
            escape(row.experiment_id or "(no id)"),
            "-" if row.generation is None else str(row.generation),
            state_text(row.state),
            escape(_what(row)),
            escape(row.source),
            escape(row.model),
            escape(row.embedding),
            escape(row.split),
            str(row.priority or "-"),
            ago(row.received_at),
            duration(seconds_between(row.started_at, row.finished_at)) if row.started_at else "-",
            escape(_flags(row)),
        )
    console().print(rows)


def _what(row: "Row") -> str:
    """The stage if running, the place if waiting, else the headline metric or the error; then marks."""
    from proteinx_pipelines.cli.terminal import duration, number

    marks = [
        *([] if row.whereabouts == "here" else [row.whereabouts]),
        *(["by hand"] if row.via == "hand" else []),
    ]
    eta = f"ends in ~{duration(row.eta_s)}" if row.eta_s is not None else ""
    if row.state == "RUNNING" and row.stage:
        said = [f"{row.stage} {row.progress or 0:.0%}", eta]
    elif row.state == "PENDING":
        said = [f"#{row.position}" if row.position else "", row.waits_for or "", eta]
    elif row.error_code:
        said = [row.error_code]
    else:
        names = (name for name in row.summary if name.endswith("/spearman"))
        headline = next(names, next(iter(row.summary), None))
        said = [f"{headline} {number(row.summary[headline])}"] if headline else []
    return ", ".join(filter(None, [*said, *marks]))


def _flags(row: "Row") -> str:
    from proteinx_pipelines.cli.terminal import value_text

    text = " ".join(f"{name}={value_text(value)}" for name, value in row.changed_flags.items())
    return text if len(text) <= _LONGEST_FLAGS else f"{text[: _LONGEST_FLAGS - 4]} ..."
