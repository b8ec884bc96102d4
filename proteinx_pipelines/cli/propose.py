"""`proteinx propose`: proposes the next plate from a finished experiment."""

from pathlib import Path
from typing import Any

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids, flag_pairs
from proteinx_pipelines.cli.lazy import examples, imports, rare_collections
from proteinx_pipelines.cli.variant_table import show, table_options, tell_shortfalls


@click.command(
    epilog=examples(
        "proteinx propose --n 96 --out plate.csv",
        "proteinx propose gb1-001 --n 96 --out plate.csv --master http://master:8000",
        "proteinx propose gb1-001 --n 96 --library doubles --out plate.csv",
        "proteinx propose gb1-001 design.positions=39,40,41,54 design.library=combinations design.acquisition=ucb",
    )
)
@click.argument("experiment_id", metavar="[ID]", required=False, shell_complete=experiment_ids)
@click.argument("flags", nargs=-1, metavar="[design.NAME=VALUE]...", shell_complete=flag_pairs)
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
    "--variants", multiple=True, type=click.Path(path_type=Path),
    help="File of variants to choose from (library file); may be given several times.",
)  # fmt: skip
@master_option
@table_options
def propose(
    experiment_id: str | None, flags: tuple[str, ...], n: int | None, library: str | None, acquisition: str | None,
    variants: tuple[Path, ...], master_url: str | None, source: str | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Propose variants to make next, each with its reason.

    Without ID, from the experiment that has succeeded last. Measured and excluded variants are never proposed.
    Every flag of `design.*` is accepted (`proteinx flags`): positions, residues, goal, diversity, controls, wells.
    Those of the experiment's own design do not hold here unless they are written again.
    The same flags in a message create the experiment's own `design` asset.

    At a Master, a job with these flags proposes, and is waited for; Ctrl-C stops the waiting, not the job.
    """
    if experiment_id is not None and "=" in experiment_id:
        flags = (experiment_id, *flags)
        experiment_id = None
    wrong = [text for text in flags if not text.startswith("design.")]
    if wrong:
        raise click.UsageError(
            f"{', '.join(wrong)}: only design.NAME=VALUE can be set here; other flags are the experiment's."
        )
    options = {
        "library": library or ("file" if variants else "singles"), "n": n, "acquisition": acquisition,
        "path": list(map(str, variants)) or None, "source": source,
    }  # fmt: skip
    chosen = {name: value for name, value in options.items() if value is not None}
    if master_url is not None:
        _propose_there(master_url, experiment_id, chosen, flags, out, as_json=as_json)
        return
    _propose_here(experiment_id, chosen, flags, out, as_json=as_json)


def _propose_there(
    url: str,
    name: str | None,
    chosen: dict[str, Any],
    flags: tuple[str, ...],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from proteinx_pipelines.cli.models_at_master import propose as propose_at_master
    from proteinx_pipelines.errors import FlagError
    from proteinx_pipelines.flags.pairs import read_pairs
    from proteinx_pipelines.flags.problems import sentences

    if "path" in chosen:
        raise click.UsageError(
            "--variants: files here are not sent to a Master. Put them where its nodes read them and name them: "
            "design.library=file design.path=px://sha256/..., or leave out --master."
        )
    pairs, problems = read_pairs(flags)
    if problems:
        raise FlagError(sentences(problems))
    written = {flag.removeprefix("design."): value for flag, value in pairs.items()}
    propose_at_master(url, name, {**chosen, **written}, out=out, as_json=as_json)


def _propose_here(
    experiment_id: str | None,
    chosen: dict[str, Any],
    flags: tuple[str, ...],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    with imports():
        from proteinx_pipelines.cli.newest import experiment_or_newest
        from proteinx_pipelines.execution.designing import design_flags, not_taken_over
        from proteinx_pipelines.execution.designing import propose as proposed
        from proteinx_pipelines.flags.design_reading import design_in_words, unread_of_design
        from proteinx_pipelines.settings import load_settings

    directory = experiment_or_newest(experiment_id).directory
    design = design_flags(directory, chosen, flags)
    unread = design_in_words(unread_of_design(design))
    for note in filter(None, (unread, not_taken_over(directory, design))):
        click.echo(f"Note: {note}", err=True)
    with rare_collections():
        table, notes = proposed(load_settings(), directory, design)
    show(table, out, as_json=as_json)
    tell_shortfalls(notes)
