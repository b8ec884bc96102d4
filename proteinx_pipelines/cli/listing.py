"""`proteinx list`: every experiment of the queue in one line."""

import json
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.settings import Settings
    from proteinx_pipelines.state.generation import Generation

STATES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")


@click.command(
    "list",
    epilog=examples("proteinx list", "proteinx list --state failed", "proteinx list --json --limit 1000"),
)
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object an experiment.")
def listing(state: str | None, limit: int, as_json: bool) -> None:
    """List the experiments of the queue, newest first, each with its newest generation.

    What `proteinx train` has run by hand is in WORKDIR/experiments and not in this list.
    """
    from proteinx_pipelines.node.service_ports import open_lives
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    found = open_lives(settings).listing(limit, state)
    if as_json:
        click.echo(json.dumps([_document(current) for current in found], indent=1, ensure_ascii=False))
    elif not found:
        click.echo("No experiments" + (f" are {state}." if state else " yet."))
    else:
        _print_table(found)
    _tell_undecided(settings)


def _tell_undecided(settings: "Settings") -> None:
    """Name what the node has claimed and not decided about: it is in no row yet."""
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.queue_checkup import in_words, undecided

    try:
        left = undecided(settings)
    except QueueUnavailable:
        return  # the list says what is known here
    if left:
        click.echo(f"{in_words(left)}. `proteinx doctor` says more.", err=True)


def _document(current: "Generation") -> dict[str, Any]:
    return {
        "experiment_id": current.experiment_id, "generation": current.generation, "attempt": current.attempt,
        "state": current.state, "stage": current.stage, "progress": current.progress,
        "received_at": current.received_at, "started_at": current.started_at, "finished_at": current.finished_at,
        "summary": dict(current.summary), "error_code": current.error_code,
    }  # fmt: skip


def _print_table(found: "list[Generation]") -> None:
    from proteinx_pipelines.cli.terminal import (
        console,
        duration,
        local_time,
        seconds_between,
        state_text,
        table,
    )

    rows = table(["experiment", "gen", "state", "stage / result", "received", "took"])
    for current in found:
        rows.add_row(
            current.experiment_id,
            str(current.generation),
            state_text(current.state),
            _what(current),
            local_time(current.received_at),
            duration(seconds_between(current.started_at, current.finished_at)),
        )
    console().print(rows)


def _what(current: "Generation") -> str:
    from proteinx_pipelines.cli.terminal import number

    if current.state == "RUNNING" and current.stage:
        return f"{current.stage} {current.progress or 0:.0%}"
    if current.error_code:
        return current.error_code
    headline = next(
        (name for name in current.summary if name.endswith("/spearman")), next(iter(current.summary), None)
    )
    return f"{headline} {number(current.summary[headline])}" if headline else ""
