"""`proteinx propose`: proposes the next plate from a finished experiment."""

from pathlib import Path

import click

from proteinx_pipelines.cli.json_output import json_option
from proteinx_pipelines.cli.lazy import examples


@click.command(
    epilog=examples(
        "proteinx propose gb1-001 --n 96 --library doubles --out plate.csv",
        "proteinx propose gb1-001 design.positions=39,40,41,54 design.library=combinations design.acquisition=ucb",
    )
)
@click.argument("experiment_id", metavar="ID")
@click.argument("flags", nargs=-1, metavar="[design.NAME=VALUE]...")
@click.option("--n", type=click.IntRange(min=1), help="Number of variants to propose.  [default: 96]")
@click.option(
    "--library", type=click.Choice(["singles", "doubles", "recombine", "combinations", "unmeasured", "file"]),
    help="Candidate variants.  [default: singles]",
)  # fmt: skip
@click.option(
    "--acquisition",
    type=click.Choice(["greedy", "ucb", "ei", "pi", "thompson"]),
    help="Ranking of the candidates.  [default: greedy]",
)
@click.option(
    "--variants", type=click.Path(path_type=Path), help="File of variants to choose from (library file)."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file, CSV or Parquet by its suffix; printed if omitted.",
)
@json_option
def propose(
    experiment_id: str, flags: tuple[str, ...], n: int | None, library: str | None, acquisition: str | None,
    variants: Path | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Propose variants to make next, each with its reason.

    Measured and excluded variants are never proposed. Every flag of `design.*` is accepted (`proteinx flags`):
    positions, residues, goal, diversity, controls, wells. The same flags in a message create the experiment's own
    `design` asset.
    """
    from proteinx_pipelines.cli.predict import show
    from proteinx_pipelines.execution.designing import propose as proposed
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.settings import load_settings

    wrong = [text for text in flags if not text.startswith("design.")]
    if wrong:
        raise click.UsageError(
            f"{', '.join(wrong)}: only design.NAME=VALUE can be set here; other flags are the experiment's."
        )
    chosen: dict[str, object] = {"design.library": library or ("file" if variants else "singles")}
    given = {
        "design.n": n,
        "design.acquisition": acquisition,
        "design.path": None if variants is None else str(variants),
    }
    chosen |= {name: value for name, value in given.items() if value is not None}
    text = "\n".join(["data.source=x", *(f"{name}={value}" for name, value in chosen.items()), *flags])
    design = parse_flags(_last_wins(text)).design
    file = variants or (Path(design.path) if design.path else None)
    show(
        proposed(load_settings(), open_experiment(experiment_id).directory, design, file),
        out,
        as_json=as_json,
    )


def _last_wins(text: str) -> str:
    """Pairs with each name once; explicit pairs override options."""
    pairs = dict(line.split("=", 1) for line in text.splitlines())
    return "\n".join(f"{name}={value}" for name, value in pairs.items())
