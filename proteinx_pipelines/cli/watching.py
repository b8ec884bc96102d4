"""Shows an experiment until it ends: live stages on a terminal, one line per change elsewhere."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.terminal import console, duration, seconds_between, state_text, table
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.stage_view import NOT_RUN, RUNNING, WAITING, StageView, stage_views

if TYPE_CHECKING:
    from rich.table import Table

_MARKS = {
    RUNNING: "[cyan]>[/]",
    WAITING: " ",
    NOT_RUN: " ",
    "failed": "[red]x[/]",
    "cancelled": "[magenta]x[/]",
}
_BAR = 20  # characters


def watch(states: Iterator[Generation], experiment_id: str) -> Generation:
    """Show the progress of a generation until it ends; returns the ended generation.

    Args:
        states: the generation as it stands, again and again; the last one has ended (`submitting.follow`).
        experiment_id: as it was asked for.
    """
    screen = console()
    return _watch_live(states) if screen.is_terminal else _watch_lines(states, experiment_id)


def _watch_live(states: Iterator[Generation]) -> Generation:
    from rich.live import Live

    current = next(states)
    with Live(_panel(current), console=console(), auto_refresh=False) as live:
        for current in states:
            live.update(_panel(current), refresh=True)
    return current


def _watch_lines(states: Iterator[Generation], experiment_id: str) -> Generation:
    said: Any = None
    current = None
    for current in states:
        facts = (current.state, current.attempt, current.stage if current.state == "RUNNING" else None)
        if facts != said:
            said = facts
            click.echo(f"{time.strftime('%H:%M:%S')} {experiment_id} {_line(current)}")
    assert current is not None  # at the least, the state in which it was accepted
    return current


def _line(current: Generation) -> str:
    attempt = f" (attempt {current.attempt})" if current.attempt > 1 else ""
    stage = f" {current.stage}" if current.state == "RUNNING" and current.stage else ""
    return f"{current.state}{stage}{attempt}"


def _panel(current: Generation) -> "Table":
    elapsed = duration(seconds_between(current.started_at, current.finished_at))
    attempt = f", attempt {current.attempt}" if current.attempt > 1 else ""
    title = f"{current.experiment_id} {state_text(current.state)} {elapsed}{attempt}"
    found = table(["", "stage", "", "why / what"], title=title)
    for view in stage_views(current):
        found.add_row(*_cells(view))
    return found


def _cells(view: StageView) -> tuple[str, str, str, str]:
    from rich.markup import escape

    filled = round(view.fraction * _BAR)
    middle = "#" * filled + "." * (_BAR - filled) if view.status == RUNNING else view.status
    return _MARKS.get(view.status, "[green]v[/]"), view.stage, middle, escape(view.reason)
