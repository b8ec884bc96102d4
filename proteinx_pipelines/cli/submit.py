"""`proteinx submit`: puts an experiment on the queue and optionally shows its stages as they run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_option
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.errors import WouldFail

if TYPE_CHECKING:
    from proteinx_pipelines.settings import Settings


@click.command(
    epilog=examples(
        "proteinx submit data.source=GB1 model.name=ridge --wait",
        "proteinx submit flags.json train.lr=0.01 --id gb1-lr-01",
        "proteinx submit flags.json --payload /data/my_assay.csv",
        "proteinx submit --template baseline data.source=GB1 --wait",
        "proteinx submit --template sweep data.source=GB1 --group models",
        "proteinx submit --master http://master:8000 --template next_round data.source=GB1 --payload GB1.csv",
    )
)
@click.argument("flags", nargs=-1, shell_complete=flag_pairs)
@click.option(
    "--id", "experiment_id", help="Id of the experiment; made from source, model and time if omitted."
)
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
@click.option(
    "--payload", metavar="REF", help="CSV, Parquet or SQLite file with the data, instead of the catalog."
)
@click.option("--priority", type=int, default=0, show_default=True, help="-100 to 100; higher goes first.")
@click.option(
    "--template",
    metavar="NAME",
    help="Start from a template; pairs are added to it (docs/http.md lists them).",
)
@click.option("--group", metavar="NAME", help="Group that the job belongs to, at a Master.")
@click.option("--force", is_flag=True, help="Send it even if it is foreseen to fail.")
@master_option
@json_option
def submit(
    flags: tuple[str, ...],
    experiment_id: str | None,
    wait: bool,
    payload: str | None,
    priority: int,
    template: str | None,
    group: str | None,
    force: bool,
    master_url: str | None,
    as_json: bool,
) -> None:
    """Put an experiment on the queue.

    FLAGS are one file (JSON or name=value lines), pairs like train.lr=0.01, or both: pairs override the file. All
    problems of the flags are reported together before anything is sent, including those found in the catalog and
    files here (an unknown source, missing weights, a split that cannot work). A --payload from outside WORKDIR is
    copied in.

    The exit code is 1 when the node refuses the message. With --wait it is 0 when the experiment SUCCEEDED and 1
    otherwise. Ctrl-C stops the waiting, not the experiment.

    A template that is a sweep is sent as a group to a Master: the one named, or the one that runs in this WORKDIR.
    """
    from proteinx_pipelines.cli.flag_arguments import read_flags, with_absolute_paths, with_source_of
    from proteinx_pipelines.cli.waiting import report_decision, wait_for
    from proteinx_pipelines.flags.reading import in_words
    from proteinx_pipelines.node.lifecycle.service_ports import NodePlanner, NodeQueue
    from proteinx_pipelines.services import submitting
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.templates import template as template_of

    if not flags and template is None and payload is None:
        raise click.UsageError("Missing FLAGS: a file, pairs like data.source=GB1, or --template NAME.")
    if template is not None and template_of(template).grid:
        from proteinx_pipelines.cli.sweep_at_master import submit_sweep

        if experiment_id is not None:
            raise click.UsageError(
                f"--id: {template!r} is a sweep of several experiments, whose ids are made."
            )
        raise SystemExit(
            submit_sweep(
                master_url, flags, {"template": template, "priority": priority},
                group=group or template, payload=payload, wait=wait, as_json=as_json,
            )
        )  # fmt: skip
    read = with_absolute_paths(read_flags(with_source_of(payload, flags), template=template))
    if master_url is not None:
        from proteinx_pipelines.cli.at_master import submit as submit_there

        more = {"experiment_id": experiment_id, "priority": priority, "group": group}
        nested = read.nested()
        raise SystemExit(submit_there(master_url, nested, wait=wait, as_json=as_json, data=payload, **more))
    settings = load_settings()
    request = submitting.compose(read, experiment_id, payload_of(settings, payload), priority)
    if note := in_words(read):
        click.echo(f"Note: {note}", err=True)
    if not force:
        try:
            submitting.refuse_unworkable(NodePlanner(settings), request)
        except WouldFail as error:
            raise click.ClickException(f"{error}\n--force sends it all the same.") from error
    submitting.submit(NodeQueue(settings), request)
    then = wait_for if wait else report_decision
    raise SystemExit(then(settings, request, as_json=as_json))


def payload_of(settings: "Settings", payload: str | None) -> str | None:
    """Payload path for the message; the file is copied into WORKDIR if a message may not refer to it in place."""
    from proteinx_pipelines.cli.flag_arguments import absolute_path
    from proteinx_pipelines.execution.payloads import take_in
    from proteinx_pipelines.node.lifecycle.service_ports import has_own_node

    path = absolute_path(payload)
    if path is None or not Path(path).is_file() or not has_own_node(settings):
        return path
    taken = take_in(settings, Path(path))
    if taken != Path(path):
        click.echo(f"Copied {path} to {taken}.", err=True)
    return str(taken)
