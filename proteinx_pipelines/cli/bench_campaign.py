"""`proteinx bench campaign`: published protocols of simulated campaigns, beside their published tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_to, write_json_to
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.bench.campaign import Published, RandomCheck
    from proteinx_pipelines.campaign.simulation import Simulation


@click.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench campaign --data assays",
        "proteinx bench campaign --data assays --assay GFP_AEQVI_Sarkisyan_2016_aa --seeds 20",
        "proteinx bench campaign --data proteingym_singles --protocol few-shot",
        "proteinx bench campaign --data assays --protocol singles model.kernel=mutation",
    ),
)
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=flag_pairs)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of assays in ProteinGym's form.")
@click.option("--protocol", type=click.Choice(["alde", "few-shot", "singles"]), default="alde", show_default=True,
              help="ALDE's on GB1's four sites, EVOLVEpro's few-shot, or multiple mutants after singles.")  # fmt: skip
@click.option("--assay", "assays", multiple=True, help="Another landscape than the protocol's; repeatable.")
@click.option(
    "--seeds", type=click.IntRange(min=2), help="Campaigns of each rule.  [default: the protocol's]"
)
@click.option("--processes", type=click.IntRange(min=1), help="Processes.  [default: processor cores]")
@click.option("--page", type=click.Path(path_type=Path), help="Folder for an HTML page of each landscape.")
@json_to
def campaign(
    pairs: tuple[str, ...], data: Path | None, protocol: str, assays: tuple[str, ...], seeds: int | None,
    processes: int | None, page: Path | None, json_out: str | None,
) -> None:  # fmt: skip
    """Run a published protocol of simulated campaigns beside its published numbers.

    NAME=VALUE sets a flag of the rule, such as design.acquisition=thompson. Finished campaigns are kept in WORKDIR, so
    a run that was stopped goes on. The exit code is 1 when the rule ends more than 0.02 below the best published one.
    """
    from proteinx_pipelines.bench import campaign as bench
    from proteinx_pipelines.cli.simulate import print_simulation
    from proteinx_pipelines.cli.terminal import status_line
    from proteinx_pipelines.execution.shards.kept import cluster_spread
    from proteinx_pipelines.settings import load_settings

    if data is None:
        raise click.UsageError(f"--data is missing. {bench.WHERE_TO_GET}")
    chosen, settings = bench.PROTOCOLS[protocol], load_settings()
    documents, below = [], False
    for name, file in bench.find_assays(data, assays or chosen.assays).items():
        landscape = bench.read_landscape(name, file, pairs)
        found = bench.run(
            landscape, chosen, pairs, folder=settings.paths.simulations_dir, seeds=seeds, processes=processes,
            progress=_progress, spread=cluster_spread(settings, "campaign"),
        )  # fmt: skip
        status_line("")
        compares = protocol == "alde" and name == bench.GB1
        table = bench.published_table() if compares else []
        check = bench.check_random(landscape) if compares else None
        below |= compares and bench.is_below(found, table[0])
        documents.append(_document(protocol, found, table, check))
        if page is not None:
            _write_page(page / f"{name}.html", found)
        if json_out != "-":
            click.echo(f"{chosen.note}.")
            print_simulation(found)
            if check is not None:
                _print_published(found, table, check)
    if json_out is not None:
        write_json_to(json_out, documents)
    if below:
        click.echo(f"More than {bench.TOLERANCE} below the best published rule.", err=True)
        raise SystemExit(1)


def _progress(done: int, total: int) -> None:
    from proteinx_pipelines.cli.terminal import status_line

    status_line(f"  {done} of {total} campaigns")


def _write_page(file: Path, found: "Simulation") -> None:
    from proteinx_pipelines.experiment_dir.files import write_text
    from proteinx_pipelines.pages.simulation import simulation_page

    write_text(file, simulation_page(found.document()))


def _document(
    protocol: str, found: "Simulation", table: "list[Published]", check: "RandomCheck | None"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "protocol": protocol, "simulation": found.document(), "published": [asdict(row) for row in table],
        "random": None if check is None else check.document(),
    }  # fmt: skip


def _print_published(found: "Simulation", table: "list[Published]", check: "RandomCheck") -> None:
    from proteinx_pipelines.cli.terminal import console
    from proteinx_pipelines.cli.terminal import table as rows_of

    ours, measured = found.curves[0], found.protocol.measured
    rows = rows_of(["published by ALDE", *(f"after {count}" for count in measured), "s.e.", "ours less it"])
    rows.add_row(f"here: {ours.rule.name}", *(f"{point.mean:.3f}" for point in ours.points),
                 "" if ours.final.se is None else f"{ours.final.se:.3f}", "")  # fmt: skip
    for row in [*table[:8], *(row for row in table[8:] if row.is_random)]:
        name = "random" if row.is_random else f"{row.encoding}, {row.model}, {row.acquisition}"
        rows.add_row(
            name,
            *(f"{value:.3f}" for value in row.mean),
            f"{row.se[-1]:.3f}",
            f"{ours.final.best - row.mean[-1]:+.3f}",
        )
    console().print(rows)
    click.echo(f"The 8 highest of {len(table)} published rows, and chance; --json has all of them.")
    click.echo(random_words(check))


def random_words(check: "RandomCheck") -> str:
    """Explain the difference between both random rows."""
    found = "is" if check.is_explained else "is not"
    return (
        f"Chance: 480 different variants of the {check.cells:,} measured cells give {check.exact_480:.3f} on average, "
        f"exactly; ALDE's row has {check.published:.3f} ± {check.published_se:.3f}. Its script draws the first 96 and "
        "the further 384 with the same seed, so that the 384 contain the 96; its table of 384 random variants has the "
        f"same value. The expectation for 384 is {check.exact_384:.3f}: theirs {found} within 2 standard errors of it."
    )
