"""`proteinx flags`: every flag with its type, default and meaning, as a table, a schema or a page."""

import json
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.completing import flag_groups
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    "flags",
    epilog=examples(
        "proteinx flags train model",
        "proteinx flags --to-kv flags.json",
        "proteinx flags --to-json data.source=GB1 train.lr=0.01 > flags.json",
    ),
)
@click.argument("words", nargs=-1, metavar="[GROUPS|FLAGS]...", shell_complete=flag_groups)
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of a flag set.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/flags.md.")
@click.option("--json", "as_json", is_flag=True, help="Print the flags as JSON, one object per flag.")
@click.option("--to-kv", is_flag=True, help="Convert FLAGS to name=value lines.")
@click.option("--to-json", is_flag=True, help="Convert FLAGS to nested JSON.")
@click.option("--to-dotted", is_flag=True, help="Convert FLAGS to JSON with dotted names.")
@click.option("--defaults", is_flag=True, help="When converting: also write flags at their defaults.")
def flags(words: tuple[str, ...], defaults: bool, **wanted: bool) -> None:
    """List the flags of an experiment, all or only those of GROUPS (data, train, ...); or convert a flag set.

    FLAGS are as for `proteinx submit`: one file or one JSON object, pairs like train.lr=0.01, or both.
    """
    chosen = [name for name, is_wanted in wanted.items() if is_wanted]
    if len(chosen) > 1:
        named = ", ".join("--" + name.removeprefix("as_").replace("_", "-") for name in chosen)
        raise click.UsageError(f"{named} are several outputs; ask for one.")
    form = chosen[0] if chosen else ""
    if defaults and not form.startswith("to_"):
        raise click.UsageError("--defaults belongs to --to-kv, --to-json and --to-dotted.")
    if words and form in ("as_schema", "as_markdown"):
        raise click.UsageError("GROUPS narrow the table only; --schema and --markdown print everything.")
    if form.startswith("to_"):
        _convert(words, form.removeprefix("to_"), defaults=defaults)
    elif form == "as_schema":
        from proteinx_pipelines.flags.reference import flags_schema

        click.echo(json.dumps(flags_schema(), indent=1, ensure_ascii=False))
    elif form == "as_markdown":
        from proteinx_pipelines.flags.reference import markdown
        from proteinx_pipelines.pipeline.stages import readers_of_groups

        click.echo(markdown(readers_of_groups()), nl=False)
    elif form == "as_json":
        _print_json(words)
    else:
        _print_tables(words)


def _convert(words: tuple[str, ...], to: str, *, defaults: bool) -> None:
    from typing import cast

    from proteinx_pipelines.cli.flag_arguments import read_flags
    from proteinx_pipelines.flags.parsing import Form, spell

    if not words:
        raise click.UsageError("FLAGS are missing: a file, a JSON object, or pairs like train.lr=0.01.")
    click.echo(spell(read_flags(words), cast("Form", to), defaults=defaults), nl=False)


def _print_json(groups: tuple[str, ...]) -> None:
    from proteinx_pipelines.flags.reference import default_text, type_text
    from proteinx_pipelines.flags.schema import known_flags

    wanted = _known_groups(groups)
    rows = [
        {
            "name": flag.dotted, "group": flag.group, "type": type_text(flag), "default": default_text(flag),
            "required": flag.required, "meaning": flag.meaning, "schema": flag.schema,
        }
        for flag in known_flags()
        if flag.group in wanted
    ]  # fmt: skip
    click.echo(json.dumps(rows, indent=1, ensure_ascii=False))


def _print_tables(groups: tuple[str, ...]) -> None:
    from proteinx_pipelines.cli.terminal import console

    screen = console()
    for group in _known_groups(groups):
        _print_table(screen, group)


def _known_groups(groups: tuple[str, ...]) -> tuple[str, ...]:
    """The requested groups, or all."""
    from proteinx_pipelines.flags.schema import known_flags

    known = tuple(dict.fromkeys(flag.group for flag in known_flags()))
    unknown = [group for group in groups if group not in known]
    if unknown:
        raise click.UsageError(
            f"{', '.join(unknown)} is not a flag group; the groups are {', '.join(known)}."
        )
    return groups or known


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
