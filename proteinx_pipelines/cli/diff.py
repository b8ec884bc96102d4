"""`proteinx diff`: two experiments compared, or one compared with what the database would select now."""

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import is_from_environment, master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from rich.console import Console

    from proteinx_pipelines.execution.drift import Drift
    from proteinx_pipelines.services.diff import Comparison, MetricDifference
    from proteinx_pipelines.services.ports import OpenedGeneration


@click.command(
    "diff",
    epilog=examples(
        "proteinx diff gb1-001 gb1-002", "proteinx diff gb1-001@1 gb1-001", "proteinx diff gb1-001 --now"
    ),
)
@click.argument("before", metavar="A", shell_complete=experiment_ids)
@click.argument("after", metavar="[B]", required=False, shell_complete=experiment_ids)
@click.option(
    "--now", is_flag=True, help="Compare A with what its selection would choose from the database now."
)
@master_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def diff(before: str, after: str | None, now: bool, master_url: str | None, as_json: bool) -> None:
    """Compare two experiments: flags, stages, rows gained and lost, metrics with their intervals.

    A and B are ids; `ID@1` is generation 1 of an experiment. With --now, only A is given: lists the rows that a
    repeated selection would add, drop or score differently because the database has changed since.

    At a Master, A and B are jobs or their experiments; what is compared is fetched. --now asks the database here.
    """
    from proteinx_pipelines.execution.drift import selection_drift
    from proteinx_pipelines.execution.opened_generation import open_named_generation
    from proteinx_pipelines.services.diff import compare
    from proteinx_pipelines.settings import load_settings

    if now == (after is not None):
        raise click.UsageError("Give a second experiment, or --now.")
    if master_url is not None and after is not None:
        from proteinx_pipelines.cli.files_at_master import generations_of

        with generations_of(master_url, (before, after)) as (one, two):
            _show(one, two, compare(one, two), as_json=as_json)
        return
    if master_url is not None and not is_from_environment():
        raise click.UsageError(
            "--now: a Master has no database to select from; its nodes do. Leave out --master, or compare two jobs."
        )
    settings = load_settings()
    side = open_named_generation(settings, before)
    if after is None:
        drift = selection_drift(settings, side)
        _print_json(drift) if as_json else _print_drift(side, drift)
        return
    other = open_named_generation(settings, after)
    _show(side, other, compare(side, other), as_json=as_json)


def _show(
    before: "OpenedGeneration", after: "OpenedGeneration", found: "Comparison", *, as_json: bool
) -> None:
    _print_json(found) if as_json else _print_comparison(before, after, found)


def _print_json(found: "Comparison | Drift") -> None:
    click.echo(json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False, default=str))


def _print_drift(side: "OpenedGeneration", drift: "Drift") -> None:
    click.echo(
        f"{side.name} selected {drift.rows_before:,} rows; {drift.database} gives {drift.rows_now:,} now."
    )
    if drift.is_none:
        click.echo("A repeated selection would choose the same rows.")
        return
    _print_ids("added", len(drift.added), drift.added)
    _print_ids("dropped", len(drift.dropped), drift.dropped)
    _print_ids("with other scores", len(drift.rescored), drift.rescored)


def _print_ids(what: str, count: int, ids: "tuple[str, ...]") -> None:
    if count:
        shown = ", ".join(ids[:10]) + (" ..." if count > 10 else "")
        click.echo(f"  {count:>9,} {what}: {shown}")


def _print_comparison(before: "OpenedGeneration", after: "OpenedGeneration", found: "Comparison") -> None:
    from proteinx_pipelines.cli.terminal import console

    screen = console()
    click.echo(f"{before.name} -> {after.name}\n\nFlags")
    for sentence in found.flags or ("no difference",):
        click.echo(f"  {sentence}")
    _print_stages(screen, found)
    _print_rows(found)
    _print_metrics(screen, before, after, found)


def _print_stages(screen: "Console", found: "Comparison") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import table

    rows = table(["stage", "", "why"])
    for stage in found.stages:
        rows.add_row(stage.stage, "same" if stage.same else "differs", escape("; ".join(stage.reasons)))
    click.echo()
    screen.print(rows)


def _print_rows(found: "Comparison") -> None:
    rows = found.rows
    if rows is None:
        click.echo("Rows: not compared; the variants of one side are not on this node any more.\n")
        return
    click.echo(f"Rows: {rows.before:,} -> {rows.after:,} variants")
    _print_ids("gained", rows.gained, rows.examples["gained"])
    _print_ids("lost", rows.lost, rows.examples["lost"])
    _print_ids("with another target", rows.retargeted, rows.examples["retargeted"])
    click.echo()


def _print_metrics(
    screen: "Console", before: "OpenedGeneration", after: "OpenedGeneration", found: "Comparison"
) -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import table

    if not found.metrics:
        click.echo("Metrics: none; one of the two has not been evaluated.")
        return
    rows = table(["metric", before.name, after.name, "change", "on common variants (paired)", ""])
    for metric in found.metrics:
        rows.add_row(
            escape(metric.name) + (" ↓" if metric.lower_is_better else ""),
            _with_interval(metric.before, metric.interval_before),
            _with_interval(metric.after, metric.interval_after),
            "-" if metric.change is None else f"{metric.change:+.4g}",
            _paired(metric),
            _verdict(metric),
        )
    screen.print(rows)
    if found.same_test_rows is False:
        click.echo("The two were tested on different variants: the change is not the models' alone.")
    if found.same_test_rows is None:
        click.echo("It is no longer known if the two were tested on the same variants.")


def _with_interval(value: float | None, interval: "tuple[float, float] | None") -> str:
    from proteinx_pipelines.cli.terminal import number

    return number(value) + (f" ({number(interval[0])} to {number(interval[1])})" if interval else "")


def _paired(metric: "MetricDifference") -> str:
    found = metric.paired
    return (
        "" if found is None else f"{found.change:+.4g} ({found.low:+.4g} to {found.high:+.4g}, n={found.n:,})"
    )


def _verdict(metric: "MetricDifference") -> str:
    if metric.differs is None:
        return ""
    return "differs" if metric.differs else "no clear difference"
