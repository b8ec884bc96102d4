"""`proteinx plan`: lists what an experiment would reuse, take over and compute, with expected times."""

from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids, flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.visible import indented, one_line

if TYPE_CHECKING:
    from proteinx_pipelines.services.planning import Outlook


@click.command(
    epilog=examples(
        "proteinx plan flags.json split.method=modulo --id gb1-001",
        "proteinx plan data.source=GB1 model.name=mlp",
    )
)
@click.argument("flags", nargs=-1, required=True, shell_complete=flag_pairs)
@click.option(
    "--id",
    "experiment_id",
    shell_complete=experiment_ids,
    help="Id of the experiment that would get these flags.",
)
@click.option("--payload", metavar="REF", help="As for `proteinx submit`.")
@master_option
@json_option
def plan(
    flags: tuple[str, ...],
    experiment_id: str | None,
    payload: str | None,
    master_url: str | None,
    as_json: bool,
) -> None:
    """Print what an experiment would reuse and compute, without running anything.

    FLAGS are as for `proteinx submit`. With the id of an existing experiment, its own finished stages are reused; in
    any case stages computed by other experiments are taken. Times are medians of what this WORKDIR has computed, from
    stages with the same flags where there are any. Foreseeable failures are printed, and the exit code is then 1.

    A Master knows flags and earlier jobs only: it tells what surely stays, and neither times nor failures.
    """
    if master_url is not None:
        _plan_there(master_url, flags, experiment_id, payload, as_json=as_json)
        return
    from proteinx_pipelines.cli.flag_arguments import read_flags, with_absolute_paths
    from proteinx_pipelines.cli.submit import payload_of
    from proteinx_pipelines.node.lifecycle.service_ports import NodePlanner
    from proteinx_pipelines.services import planning
    from proteinx_pipelines.services.submitting import compose
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.stages.known_names import known_here

    settings = load_settings()
    read = with_absolute_paths(read_flags(flags, known_here()))
    request = compose(read, experiment_id, payload_of(settings, payload))
    outlook = planning.plan(NodePlanner(settings), request)
    if as_json:
        print_json(outlook.document())
    else:
        _print(outlook)
    if outlook.problems:
        raise SystemExit(1)


def _plan_there(
    url: str, flags: tuple[str, ...], experiment_id: str | None, payload: str | None, *, as_json: bool
) -> None:
    from proteinx_pipelines.cli.at_master import plan as plan_at_master
    from proteinx_pipelines.cli.flag_arguments import read_flags

    if payload is not None:
        raise click.UsageError(
            "A Master does not look into a --payload: leave it out, or ask without --master."
        )
    plan_at_master(url, read_flags(flags).nested(), experiment_id, as_json=as_json)


def _print(outlook: "Outlook") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, duration, table

    plan = outlook.plan
    rows = table(["stage", "action", "time", "reason"])
    for planned in plan.stages:
        seconds = outlook.seconds.get(planned.stage)
        time = (
            ""
            if planned.stage not in plan.to_compute
            else "?"
            if seconds is None
            else f"~ {duration(seconds)}"
        )
        rows.add_row(planned.stage, planned.action, time, escape(planned.reason))
    console().print(rows)
    if outlook.unread:
        click.echo(f"Note: {outlook.unread}")
    for flag, matched in outlook.rows_matched.items():
        click.echo(f"Rows matched with the file of {flag}: {one_line(matched)}")
    for problem in outlook.problems:
        click.echo(f"Would fail: {problem.code}: {indented(problem.text)}")
    if not plan.to_compute:
        click.echo("Nothing would be computed.")
    elif any(stage in outlook.seconds for stage in plan.to_compute):
        more = "" if outlook.is_complete else ", and the stages never seen here"
        click.echo(f"About {duration(outlook.total_s)} of computing{more}.")
