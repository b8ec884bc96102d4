"""`proteinx flags`: every flag with its type, default and meaning, as a table, a schema or a page."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


@click.command("flags")
@click.argument("groups", nargs=-1)
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of a flag set.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/flags.md.")
def flags(groups: tuple[str, ...], as_schema: bool, as_markdown: bool) -> None:
    """List the flags of an experiment, all of them or those of GROUPS (data, train, ...)."""
    from proteinx_pipelines.flags.reference import flags_schema, markdown

    if as_schema and as_markdown:
        raise click.UsageError("--schema and --markdown are two outputs; ask for one.")
    if groups and (as_schema or as_markdown):
        raise click.UsageError("GROUPS narrow the table only; --schema and --markdown print everything.")
    if as_schema:
        click.echo(json.dumps(flags_schema(), indent=1, ensure_ascii=False))
    elif as_markdown:
        from proteinx_pipelines.pipeline.stages import readers_of_groups

        click.echo(markdown(readers_of_groups()), nl=False)
    else:
        _print_tables(groups)


def _print_tables(groups: tuple[str, ...]) -> None:
    from proteinx_pipelines.cli.terminal import console
    from proteinx_pipelines.flags.schema import known_flags

    known = tuple(dict.fromkeys(flag.group for flag in known_flags()))
    unknown = [group for group in groups if group not in known]
    if unknown:
        raise click.UsageError(
            f"{', '.join(unknown)} is no group of flags; the groups are {', '.join(known)}."
        )
    screen = console()
    for group in groups or known:
        _print_table(screen, group)


def _print_table(screen: "Console", group: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from proteinx_pipelines.flags.reference import default_text, type_text
    from proteinx_pipelines.flags.schema import known_flags
    from proteinx_pipelines.pipeline.stages import readers_of_groups

    reader = ", ".join(readers_of_groups()[group]) or "the node"
    table = Table(title=f"{group} (read by {reader})", title_justify="left", show_lines=False)
    table.add_column("flag", style="bold", no_wrap=True)
    for column in ("type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for flag in known_flags():
        if flag.group == group:
            table.add_row(flag.dotted, *map(escape, (type_text(flag), default_text(flag), flag.meaning)))
    screen.print(table)
