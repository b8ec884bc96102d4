"""A click group that imports commands when they are used and turns this project's errors into messages.

`proteinx --help` reads a table and imports no command: the packages behind the commands take seconds to load.
"""

import errno
import gc
import importlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.visible import visible

DEBUG = "PROTEINX_DEBUG"
"""Environment variable: when set, errors are shown with their traceback."""


@contextmanager
def imports() -> Iterator[None]:
    """Import a command's modules without garbage collections, which cost 0.2 s of the second that imports take.

    What is imported lives to the end: it is not looked at by later collections either.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if is_on:
            gc.enable()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect garbage a hundred times less often: searches took 0.2 s of the 1.6 s of 10,000 predictions.

    For a question that is answered in seconds and makes few cycles; memory that is not in a cycle is freed at once.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * max(1, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True)
class Entry:
    """One command in the table of a group."""

    target: str
    """`module:object`."""
    help: str
    """Line shown in the list of commands."""
    section: str
    """Heading that the command is listed under."""


class PlainErrors(click.Command):
    """A command whose expected errors become one message and exit code 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (ProteinxError, OSError) as error:
            if os.environ.get(DEBUG) or not _is_expected(error):
                raise
            raise RefusedError(below_another(str(error))) from error
        except click.ClickException as error:
            error.message = below_another(error.message or "")  # type: ignore[misc]  # where click keeps it
            raise


def below_another(text: str) -> str:
    """A message as letters; its further lines are indented, so that a name in it forges no line of ours.

    The message is printed when a command has ended, and with it whatever watched its output.
    """
    return re.sub(r"\n(?=\S)", "\n  ", visible(text))


class LazyGroup(PlainErrors, click.Group):
    """A group that needs only the name and help line of its commands until one is used."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """All command names, in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        if cmd_name not in self.entries:
            return None
        module, _, name = self.entries[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands from the table, for suggestions; nothing is imported."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown name raises an error with the nearest names."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = nearest(args[0], self.entries, 2)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(near)}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the command table, section by section."""
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            rows = [(name, entry.help) for name, entry in self.entries.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)


class RefusedError(click.ClickException):
    """The command failed; the message gives the reason and the remedy."""

    exit_code = 1


def _is_expected(error: Exception) -> bool:
    """True for this project's errors and for a full or read-only disk: other errors keep their traceback."""
    outside = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC)
    return isinstance(error, ProteinxError) or (isinstance(error, OSError) and error.errno in outside)


def examples(*lines: str) -> str:
    """Epilog of a help text: example command lines, each on its own line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
