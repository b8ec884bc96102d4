"""`proteinx sweep`: many experiments that differ in some flags, sent to a Master as one group."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_option
from proteinx_pipelines.cli.lazy import examples


@click.command(
    epilog=examples(
        "proteinx sweep data.source=GB1 --over split.seed=0,1,2 --over model.name=ridge,gp --wait",
        "proteinx sweep data.source=GB1 --over 'split.fractions=[[0.8,0.1,0.1],[0.6,0.2,0.2]]' --group sizes",
        "proteinx sweep data.source=GB1 --unit draw.json --group rates",
        "proteinx sweep --template sweep data.source=GB1",
    )
)
@click.argument("flags", nargs=-1, shell_complete=flag_pairs)
@click.option(
    "--over", multiple=True, metavar="FLAG=VALUES", shell_complete=flag_pairs,
    help="Values of a flag, separated by commas or as a JSON list; every combination is an experiment. May be given "
    "again.",
)  # fmt: skip
@click.option(
    "--unit", "unit_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="JSON with what varies: `grid`, `list`, `draw` or `search`, and the other fields of a unit (docs/http.md).",
)  # fmt: skip
@click.option(
    "--template", metavar="NAME", help="Start from a template; its grid counts where nothing else varies."
)
@click.option(
    "--group", metavar="NAME", help="Group that they belong to; by default `sweep`, or the template's name."
)
@click.option(
    "--payload", metavar="REF", help="File with the data, which is uploaded, or an uploaded data set."
)
@click.option("--priority", type=int, help="-100 to 100; higher goes first.")
@click.option("--wait", is_flag=True, help="Wait until all have ended, then print the state of each.")
@master_option
@json_option
def sweep(
    flags: tuple[str, ...],
    over: tuple[str, ...],
    unit_file: Path | None,
    template: str | None,
    group: str | None,
    payload: str | None,
    priority: int | None,
    wait: bool,
    master_url: str | None,
    as_json: bool,
) -> None:
    """Send many experiments that differ in some flags, as one group of a Master.

    FLAGS are pairs that all experiments have. Every experiment is checked before any is sent. The Master is the one
    named, or the one that runs in this WORKDIR. With --wait the exit code is 0 when all of them SUCCEEDED.
    """
    from proteinx_pipelines.cli.sweep_at_master import submit_sweep

    unit: dict[str, Any] = _read(unit_file) if unit_file is not None else {}
    more = {"grid": _grid(over) or None, "template": template, "priority": priority}
    unit |= {name: value for name, value in more.items() if value is not None}
    if not unit.keys() & {"grid", "list", "draw", "search", "template"}:
        raise click.UsageError(
            "Nothing varies: give --over FLAG=VALUES, --unit FILE or --template NAME. `proteinx submit` sends one "
            "experiment."
        )
    name = group or unit.get("template") or "sweep"
    raise SystemExit(
        submit_sweep(master_url, flags, unit, group=name, payload=payload, wait=wait, as_json=as_json)
    )


def _read(path: Path) -> dict[str, Any]:
    from proteinx_pipelines.flags.json_text import NotJson, TooDeep
    from proteinx_pipelines.flags.problems import sentences
    from proteinx_pipelines.flags.repeated_keys import repeated_keys

    try:
        text = path.read_text(encoding="utf-8")
        repeated = sentences(repeated_keys(text))
    except (NotJson, TooDeep, UnicodeDecodeError) as error:
        raise click.UsageError(f"--unit: {path} cannot be read: {error}.") from error
    if repeated:
        raise click.UsageError(f"--unit: {path}: {'; '.join(repeated)}.")
    unit = json.loads(text)
    if not isinstance(unit, Mapping) or not isinstance(unit.get("flags", {}), Mapping):
        raise click.UsageError(
            f"--unit: {path} is expected to hold an object with `grid`, `list`, `draw` or `search`, and `flags` as an "
            "object where it has them."
        )
    return dict(unit)


def _grid(over: Sequence[str]) -> dict[str, list[Any]]:
    from proteinx_pipelines.errors import FlagError
    from proteinx_pipelines.flags.pairs import read_pairs
    from proteinx_pipelines.flags.problems import sentences

    grid, problems = read_pairs(over)
    if problems:
        raise FlagError(sentences(problems))
    return {name: value if isinstance(value, list) else _values(name, value) for name, value in grid.items()}


def _values(name: str, value: Any) -> list[Any]:
    """The values of `ridge,gp` or `0,1,2`, each as one that is written alone."""
    from proteinx_pipelines.flags.pairs import read_pairs

    if not isinstance(value, str):
        return [value]
    return [read_pairs([f"{name}={text}"])[0][name] for text in value.split(",")]
