"""`proteinx simulate`: campaigns on a measured landscape, before a lab is paid."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_to, write_json_to
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.campaign.simulation import Simulation
    from proteinx_pipelines.campaign.summary import Curve

_ACQUISITIONS = ("greedy", "ucb", "ei", "pi", "thompson")


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1, separated by commas."""

    name = "N[,N...]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the numbers."""
        if isinstance(value, tuple):
            return value
        texts = [text.strip() for text in str(value).split(",")]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            self.fail(f"{value!r}: whole numbers from 1 are expected, such as 96 or 48,96.", param, ctx)
        return tuple(map(int, texts))


@click.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx simulate data.source=GB1 --start 96 --rounds 4 --batch 96 --seeds 70 --json out.json",
        "proteinx simulate data.source=GB1 --acquisition ucb,greedy,thompson --batch 96,48 --page out.html",
        "proteinx simulate data.source=GB1 model.name=ridge --start 24 --rounds 3 --batch 24 --seeds 20",
        "proteinx simulate data.source=GB1 --master http://127.0.0.1:8000",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[FLAGS]...", shell_complete=flag_pairs)
@click.option(
    "--start", type=click.IntRange(min=2), default=96, show_default=True, help="Variants of the first plate."
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=4, show_default=True, help="Plates that are chosen."
)
@click.option("--batch", "batches", type=Numbers(), default="96", show_default=True,
              help="Variants a plate; further sizes are compared with as many measurements in all.")  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(min=1), default=70, show_default=True, help="Campaigns of each rule."
)
@click.option(
    "--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first one."
)
@click.option("--acquisition", "acquisitions", metavar="NAME[,NAME...]",
              help=f"Acquisitions to compare: {', '.join(_ACQUISITIONS)}.  [default: design.acquisition]")  # fmt: skip
@click.option("--start-from", type=click.Choice(["all", "singles"]), default="all", show_default=True,
              help="Draw the first plate from all variants, or from singles and choose multiple mutants.")  # fmt: skip
@click.option("--processes", type=click.IntRange(min=1), help="Processes.  [default: processor cores]")
@click.option("--page", type=click.Path(path_type=Path), help="Write an HTML page of the curves.")
@click.option("--master", "master_url", metavar="URL",
              help="Report to the Master at this address; it computes here all the same.")  # fmt: skip
@json_to
def simulate(
    arguments: tuple[str, ...], start: int, rounds: int, batches: tuple[int, ...], seeds: int, first_seed: int,
    acquisitions: str | None, start_from: str, processes: int | None, page: Path | None, master_url: str | None,
    json_out: str | None,
) -> None:  # fmt: skip
    """Simulate campaigns on measured variants: a random first plate, then plates that a rule chooses.

    FLAGS are as for `proteinx submit`. The rule is `model.*` and `design.*`; unless written, a Gaussian process with an
    upper confidence bound. Constraints of `design.*` (positions, residues, exclude, ...) hold for every plate, the
    first one too. The rule is compared with the greedy choice of the same model, an additive model, and chance, all
    from the same first plates. Finished campaigns are kept in WORKDIR: a simulation that was stopped goes on, and one
    with more seeds computes only the new ones.

    With --master it computes here all the same, and appears there as a job: with its progress, its curves and its
    page, and can be cancelled there.
    """
    from proteinx_pipelines.campaign.reading import unread_in_words
    from proteinx_pipelines.campaign.simulation import Asked
    from proteinx_pipelines.cli.flag_arguments import read_flags
    from proteinx_pipelines.cli.simulation_at_master import reported
    from proteinx_pipelines.execution.simulating import simulate as simulated
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.stages.known_names import known_here

    asked = Asked(start, rounds, batches[0], seeds, first_seed, start_from, _names(acquisitions), batches[1:])
    flags = read_flags(arguments, known_here())
    if note := unread_in_words(flags, asked):
        click.echo(f"Note: {note}", err=True)
    try:
        with reported(master_url, flags, asked) as report:
            found = simulated(
                load_settings(), flags, asked, processes=processes,
                progress=lambda done, total: report.progress(done, total, _progress),
            )  # fmt: skip
            report.end(found)
    except KeyboardInterrupt:
        click.echo("\nBroken off. The same command goes on after the campaigns that have ended.", err=True)
        raise SystemExit(130) from None
    show(found, page, json_out)


def show(found: "Simulation", page: Path | None, json_out: str | None) -> None:
    """Write the page and the document where they are asked for, and print the table otherwise."""
    from proteinx_pipelines.cli.terminal import status_line

    status_line("")
    if page is not None:
        from proteinx_pipelines.experiment_dir.files import write_text
        from proteinx_pipelines.pages.simulation import simulation_page

        write_text(page, simulation_page(found.document()))
    if json_out is not None:
        write_json_to(json_out, found.document())
    if json_out != "-":
        print_simulation(found)
        for path in filter(None, (page, json_out)):
            click.echo(f"written: {path}")


def _names(text: str | None) -> tuple[str, ...]:
    names = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    unknown = [name for name in names if name not in _ACQUISITIONS]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(map(repr, unknown))}: one or several of {', '.join(_ACQUISITIONS)} are expected.",
            param_hint="--acquisition",
        )
    return names


def _progress(done: int, total: int) -> None:
    from proteinx_pipelines.cli.terminal import status_line

    status_line(f"  {done} of {total} campaigns")


def print_simulation(found: "Simulation") -> None:
    """Print the landscape, a row a rule, and what the numbers say."""
    from proteinx_pipelines.cli.terminal import console, table

    land, protocol = found.landscape, found.protocol
    click.echo(
        f"{land['name']}: {land['variants']:,} variants{_of_all(land)}, best {land['best']['mutant']} "
        f"({land['best']['score']:.4g}). {found.seeds} campaigns a rule: {protocol.start} at random, then "
        f"{protocol.rounds} x {protocol.batch}."
    )
    measured = [f"after {count:,}" for count in protocol.measured]
    rows = table(["rule", "batch", *measured, "95 % interval", "10 to 90 %", "best found", "top 1 %"])
    for each in found.curves:
        rows.add_row(*_cells(each, len(measured)))
    if found.random_exact:
        rows.add_row("random, exactly", "", *(f"{value:.3f}" for value in found.random_exact), "", "", "", "")
    console().print(rows)
    click.echo(
        "Best so far as a fraction of the best variant's score, mean over campaigns. "
        "10 to 90 %: where eight of ten single campaigns end."
    )
    for line in sentences(found):
        click.echo(line)


def _of_all(land: Mapping[str, Any]) -> str:
    """How many measured variants the constraints leave out."""
    return f" (`design.*` leaves out {land['left_out']:,} others)" if land["left_out"] else ""


def _cells(found: "Curve", columns: int) -> list[str]:
    from proteinx_pipelines.pages.simulation import ONE_SEED

    means = [f"{point.mean:.3f}" for point in found.points]
    if len(means) != columns:  # another batch: its rounds end elsewhere; the last column is the same total
        means = [means[0], *[""] * (columns - 2), means[-1]]
    last, final = found.points[-1], found.final
    if last.low is None or last.high is None:
        ends, most = ONE_SEED, ""
    else:
        ends, most = f"{last.low:.3f} to {last.high:.3f}", f"{last.p10:.3f} to {last.p90:.3f}"
    return [
        found.rule.name, str(found.protocol.batch), *means, ends, most,
        f"{final.found_maximum:.0%}", f"{final.hits:.0f}",
    ]  # fmt: skip


def sentences(found: "Simulation") -> list[str]:
    """What the differences say, one sentence each."""
    from proteinx_pipelines.campaign.simulation import rule_in_words
    from proteinx_pipelines.pages.simulation import ONE_SEED

    lines = [f"{each.rule.name}: {rule_in_words(each.rule)}." for each in found.curves]
    lines = list(dict.fromkeys(lines))
    for apart in found.differences:
        other = apart.other + (
            f" in batches of {apart.other_batch}" if apart.other_batch != apart.batch else ""
        )
        if apart.low is None or apart.high is None:
            lines.append(f"{apart.rule} less {other}: {apart.mean:+.3f} ({ONE_SEED}).")
            continue
        sure = "" if apart.is_clear else "; it may be chance"
        lines.append(
            f"{apart.rule} less {other}: {apart.mean:+.3f} ({apart.low:+.3f} to {apart.high:+.3f}){sure}. Luck: a "
            f"single campaign ends above a single one of {other} with probability {apart.single:.0%}."
        )
    return lines
