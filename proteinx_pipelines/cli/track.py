"""`proteinx track`: what waits to be told to MLflow, Weights & Biases or TensorBoard."""

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples


@click.command(
    cls=PlainErrors, epilog=examples("proteinx track", "proteinx track --status", "proteinx track --json")
)
@click.option("--status", "only_show", is_flag=True, help="Print what waits, and tell nobody.")
@json_option
def track(only_show: bool, as_json: bool) -> None:
    """Tell trackers now what they have not been told; print what still waits. Exit code 1 if something failed.

    The agent of a node does this in the background; the command is for experiments of `proteinx train` whose tracker
    was away, and for looking. Which trackers: `run.track`, and the setting `track` (PROTEINX_TRACK).
    """
    from proteinx_pipelines.execution.tracking.sending import tell_all
    from proteinx_pipelines.execution.tracking.waiting import waiting
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    counts = {"told": 0, "failed": 0} if only_show else tell_all(settings, keep_waiting=False)
    left = {each.name: each.note() for each in waiting(settings)}
    if as_json:
        print_json({**counts, "waiting": left})
    else:
        if not only_show:
            click.echo(f"Told: {counts['told']}. Failed: {counts['failed']}.")
        for name, trackers in left.items():
            for tracker, facts in trackers.items():
                error = facts.get("error")
                click.echo(f"{name} waits for {tracker}" + (f": {error}" if error else "."))
    raise SystemExit(1 if counts["failed"] else 0)
