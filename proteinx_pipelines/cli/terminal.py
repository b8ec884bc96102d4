"""Terminal formatting: tables, numbers, times. Plain and wide when the output is not a terminal."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.visible import one_line, raw_stream, visible

if TYPE_CHECKING:
    from rich.console import Console

    from proteinx_pipelines.cli.word_table import WordTable

STATE_STYLES = {
    "PENDING": "yellow", "RUNNING": "cyan", "SUCCEEDED": "green",
    "FAILED": "red", "CANCELLED": "magenta", "REJECTED": "red",
}  # fmt: skip
_LONGEST_SAID = 20_000
_PIPE_WIDTH = 200
"""Columns when the output is not a terminal: wide enough for `grep` to find whole rows."""


def console() -> "Console":
    """A console on standard output that escapes terminal control characters in every text."""
    from rich.console import Console

    class VisibleConsole(Console):
        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(visible(text), **options)

    out = raw_stream(sys.stdout)  # the console's own colours and cursor movements are not text to escape
    screen = VisibleConsole(highlight=False, file=out)
    return screen if screen.is_terminal else VisibleConsole(highlight=False, width=_PIPE_WIDTH, file=out)


def status_line(text: str) -> None:
    """Status line on standard error, overwritten by the next; an empty text clears it; nothing unless a terminal."""
    if sys.stderr.isatty():
        stream = raw_stream(sys.stderr)
        stream.write(f"\r\x1b[2K{one_line(text)[:78]}")
        stream.flush()


def say(text: str, *, err: bool = False) -> None:
    """Print one line that holds other people's names; a line break in one of them is written out."""
    import click

    click.echo(one_line(text, _LONGEST_SAID), err=err)


def table(
    columns: Sequence[str], title: str | None = None, *, ranks: Mapping[str, int] | None = None
) -> "WordTable":
    """An empty table; the first column never wraps, the others wrap only at spaces.

    Args:
        columns: headers.
        title: above the table.
        ranks: header -> rank of a column that is dropped where the screen is too narrow, the highest first.
    """
    from proteinx_pipelines.cli.word_table import WordTable

    found = WordTable(title=title)
    for position, column in enumerate(columns):
        found.add_ranked(column, (ranks or {}).get(column, 0), no_wrap=position == 0)
    return found


def state_text(state: str) -> str:
    """A state in its colour."""
    return f"[{STATE_STYLES.get(state, 'white')}]{state}[/]"


def metric_table(summary: Mapping[str, float | None]) -> "WordTable":
    """Headline metrics, one per row."""
    from rich.markup import escape

    found = table(["metric", "value"])
    found.columns[1].justify = "right"
    for name, value in summary.items():
        found.add_row(escape(name), number(value))
    return found


def number(value: float | None) -> str:
    """A metric with four significant digits; a dash where it is undefined."""
    return "-" if value is None else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """`8.1 s`, `2 min 05 s`, `3 h 12 min`."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds between two of our timestamps; until now when there is no end; None when there is no start."""
    if start is None:
        return None
    until = datetime.fromisoformat(end) if end else datetime.now().astimezone()
    return (until - datetime.fromisoformat(start)).total_seconds()


def local_time(timestamp: str) -> str:
    """One of our timestamps (UTC) in local time: `2026-03-01 13:00:00`."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(timestamp: str | None) -> str:
    """One of our timestamps as elapsed time: `now`, `5 min ago`, `3 h ago`, `12 days ago`."""
    seconds = seconds_between(timestamp, None)
    if seconds is None:
        return "-"
    if seconds < 60:
        return "now" if seconds < 1 else f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86400:.0f} days ago"


def value_text(value: object) -> str:
    """A flag's value on one line."""
    import json

    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
