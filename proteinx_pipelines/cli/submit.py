"""`proteinx submit`: an experiment onto the queue, and its stages on the screen."""

import click

from proteinx_pipelines.cli.lazy import examples


@click.command(
    epilog=examples(
        "proteinx submit data.source=GB1 model.name=ridge --wait",
        "proteinx submit flags.json train.lr=0.01 --id gb1-lr-01",
        "proteinx submit flags.json --payload /data/my_assay.csv",
    )
)
@click.argument("flags", nargs=-1, required=True)
@click.option(
    "--id", "experiment_id", help="Name of the experiment; made from source, model and time when absent."
)
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
@click.option(
    "--payload", metavar="REF", help="CSV, Parquet or SQLite file to take the data from, not the catalog."
)
@click.option("--priority", type=int, default=0, show_default=True, help="-100 to 100; higher goes first.")
def submit(
    flags: tuple[str, ...], experiment_id: str | None, wait: bool, payload: str | None, priority: int
) -> None:
    """Put an experiment on the queue.

    FLAGS are one file (JSON or name=value lines), pairs like train.lr=0.01, or both: pairs win. All problems of
    the flags are reported at once, before anything is sent.

    With --wait the exit code is 0 when the experiment SUCCEEDED and 1 otherwise. Ctrl-C stops the waiting, not
    the experiment.
    """
    from proteinx_pipelines.cli.flag_arguments import absolute_path, read_flags, with_absolute_paths
    from proteinx_pipelines.cli.waiting import wait_for
    from proteinx_pipelines.node.service_ports import NodeQueue
    from proteinx_pipelines.services import submitting
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    read = with_absolute_paths(read_flags(flags))
    request = submitting.compose(read, experiment_id, absolute_path(payload), priority)
    submitting.submit(NodeQueue(settings), request)
    if wait:
        raise SystemExit(wait_for(settings, request))
    click.echo(f"Submitted {request.experiment_id}. See it with `proteinx show {request.experiment_id}`.")
