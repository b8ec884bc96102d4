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


def json_to(command: Command) -> Command:
    """Add `--json [OUT]`, passed as `json_out`: the name of a file, or `-` for standard output."""
    option = click.option(
        "--json", "json_out", metavar="[OUT]", is_flag=False, flag_value="-", callback=_no_pair,
        help="Write JSON to a file, or print it (docs/commands.md).",
    )  # fmt: skip
    return option(command)


def _no_pair(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a flag such as data.source=X as the name of the file: `--json` came before the flags."""
    if value is not None and "=" in value:
        raise click.BadParameter(
            f"{value!r} looks like a flag, and the name of a file is expected; write --json last, or --json -.",
            context, parameter,
        )  # fmt: skip
    return value


def write_json_to(out: str, document: Any) -> None:
    """Write one document to a file, or print it where `out` is `-`."""
    from pathlib import Path

    from proteinx_pipelines.experiment_dir.files import write_text

    if out == "-":
        print_json(document)
    else:
        write_text(Path(out), json.dumps(_plain(document), indent=1, ensure_ascii=False, default=str) + "\n")


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
