"""The `--json` option, the same in every command: one JSON document on standard output (docs/commands.md)."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add the `--json` option, passed as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/commands.md).")(command)


def print_json(document: Any) -> None:
    """Print one document; a non-finite number becomes null, a path or a time becomes text."""
    click.echo(json.dumps(_plain(document), indent=1, ensure_ascii=False, default=str))


def print_json_line(document: Any) -> None:
    """Print one document of a stream on its own line."""
    click.echo(json.dumps(_plain(document), ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
