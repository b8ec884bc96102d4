"""Waiting for an experiment: the six stages live on a terminal, one line for each change elsewhere."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.stage_view import NOT_RUN, RUNNING, WAITING, StageView, stage_views
from proteinx_pipelines.cli.terminal import console, duration, seconds_between, state_text, table
from proteinx_pipelines.state.generation import Generation

if TYPE_CHECKING:
    from rich.table import Table

LOOK_S = 0.2
"""Pause between two looks at `state.db`, in seconds."""
_MARKS = {
    RUNNING: "[cyan]>[/]",
    WAITING: " ",
    NOT_RUN: " ",
    "failed": "[red]x[/]",
    "cancelled": "[magenta]x[/]",
}
_BAR = 20  # characters

Look = Callable[[], Generation]


def watch(look: Look, experiment_id: str) -> Generation:
    """Show how a generation comes along until it has ended; the generation as it ended."""
    screen = console()
    return _watch_live(look) if screen.is_terminal else _watch_lines(look, experiment_id)


def _watch_live(look: Look) -> Generation:
    from rich.live import Live

    with Live(_panel(current := look()), console=console(), auto_refresh=False) as live:
        while not current.is_terminal:
            time.sleep(LOOK_S)
            current = look()
            live.update(_panel(current), refresh=True)
    return current


def _watch_lines(look: Look, experiment_id: str) -> Generation:
    said: Any = None
    while True:
        current = look()
        facts = (current.state, current.attempt, current.stage if current.state == "RUNNING" else None)
        if facts != said:
            said = facts
            click.echo(f"{time.strftime('%H:%M:%S')} {experiment_id} {_line(current)}")
        if current.is_terminal:
            return current
        time.sleep(LOOK_S)


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
