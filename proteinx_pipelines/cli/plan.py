"""`proteinx plan`: what an experiment would reuse, take over and compute, and how long that may take."""

from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.pipeline.plan import Plan


@click.command(
    epilog=examples(
        "proteinx plan flags.json split.method=modulo --id gb1-001",
        "proteinx plan data.source=GB1 model.name=mlp",
    )
)
@click.argument("flags", nargs=-1, required=True)
@click.option("--id", "experiment_id", help="The experiment that would get these flags.")
@click.option("--payload", metavar="REF", help="As for `proteinx submit`.")
def plan(flags: tuple[str, ...], experiment_id: str | None, payload: str | None) -> None:
    """Say what an experiment would reuse and compute, without running anything.

    FLAGS are as for `proteinx submit`. With the id of an experiment that is there, what it has counts; without
    one, what other experiments have computed still does. The times are medians of what this WORKDIR has
    computed, of stages with the same flags where there are any.
    """
    from proteinx_pipelines.cli.flag_arguments import read_flags
    from proteinx_pipelines.cli.submit import compose
    from proteinx_pipelines.cli.timing import expected_seconds
    from proteinx_pipelines.node.planning import plan_experiment
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    request = compose(read_flags(flags), experiment_id, payload, 0)
    found = plan_experiment(settings, request.experiment_id, request.flags, request.payload_ref)
    _print(found, expected_seconds(settings, request.flags))


def _print(found: "Plan", expected: "dict[str, float]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, duration, table

    rows = table(["stage", "action", "time", "reason"])
    for planned in found.stages:
        seconds = expected.get(planned.stage) if planned.stage in found.to_compute else 0.0
        time = (
            "?" if seconds is None else f"~ {duration(seconds)}" if planned.stage in found.to_compute else ""
        )
        rows.add_row(planned.stage, planned.action, time, escape(planned.reason))
    console().print(rows)
    known = [expected[stage] for stage in found.to_compute if stage in expected]
    if not found.to_compute:
        click.echo("Nothing would be computed.")
    elif known:
        more = "" if len(known) == len(found.to_compute) else ", and the stages never seen here"
        click.echo(f"About {duration(sum(known))} of computing{more}.")
