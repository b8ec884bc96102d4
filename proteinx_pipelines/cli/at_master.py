"""The verbs of the command line at a Master elsewhere: `--master URL`, or PROTEINX_MASTER.

Each function is a command's whole answer; the commands themselves ask the node of this WORKDIR when no Master is named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from proteinx_pipelines.cli.json_output import print_json, print_json_line
from proteinx_pipelines.visible import indented, one_line

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client
    from proteinx_pipelines.contract.job import JobDocument

Command = TypeVar("Command", bound=Callable[..., Any])
_FILTERS = (
    "q",
    "since",
    "until",
    "source",
    "model",
    "group",
    "unit",
    "node",
    "kind",
    "experiment_id",
    "created_by",
)
_STATES = {"PENDING": "WAITING,ASSIGNED,HELD"}


def master_option(command: Command) -> Command:
    """Add `--master`, passed as the argument `master_url`."""
    return click.option(
        "--master", "master_url", envvar="PROTEINX_MASTER", metavar="URL",
        help="Ask the Master at this address (PROTEINX_MASTER; token in PROTEINX_TOKEN) instead of this machine.",
    )(command)  # fmt: skip


def is_from_environment() -> bool:
    """True if the Master of the command that runs is named by PROTEINX_MASTER alone."""
    source = click.get_current_context().get_parameter_source("master_url")
    return source is ParameterSource.ENVIRONMENT


def client_of(url: str) -> "Client":
    """The client of a Master.

    Raises:
        InputError: this is no address of a Master.
    """
    from proteinx_pipelines.client.client import Client

    client: Client = Client(url)
    return client


def master_or_here(url: str | None) -> str:
    """The address given, else that of the Master that runs in this WORKDIR.

    Raises:
        ClickException: neither is there.
    """
    if url:
        return url
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.node.talking.master_http import running_master
    from proteinx_pipelines.settings import load_settings

    there = running_master(load_master_settings(load_settings()))
    if there is None:
        raise click.ClickException(
            "No Master runs in this WORKDIR: start one with `proteinx up`, or name one with --master URL or "
            "PROTEINX_MASTER."
        )
    return there.url


def submit(
    url: str, flags: Mapping[str, Any], *, wait: bool, as_json: bool, data: str | None, **request: Any
) -> int:
    """Create a job; the exit status is 1 if it is refused, or with `wait` does not succeed.

    Args:
        url: of the Master.
        flags: nested.
        wait: show its stages until it has ended.
        as_json: print JSON.
        data: a file here, which is uploaded; or the name of a data set, or a path on the node.
        request: other fields of the job.
    """
    from pathlib import Path

    with client_of(url) as client:
        if data is not None and Path(data).is_file():
            request["dataset"] = uploaded(client, data)
        elif data is not None:
            request["payload_ref"] = data
        job = client.submit(flags, **request)
        if not wait:
            if as_json:
                print_json(job.document())
            else:
                click.echo(
                    f"{job.job_id} waits: {job.reason or 'it is next'} (experiment {job.experiment_id})."
                )
            return 0
        shown: list[str] = []

        def tell(current: "JobDocument") -> None:
            line = " ".join(filter(None, (current.state, current.stage, current.note or current.reason)))
            if line not in shown[-1:] and not as_json:
                shown.append(line)
                click.echo(one_line(line))

        return end(client.wait(job, on_progress=tell), as_json=as_json)


def uploaded(client: "Client", file: str) -> str:
    """Upload a file as a data set, and say so; its id."""
    found = client.upload(file)
    click.echo(f"Uploaded {file} as {found['name']}, version {found['version']}.", err=True)
    return str(found["dataset_id"])


def plan(url: str, flags: Mapping[str, Any], experiment_id: str | None, *, as_json: bool) -> None:
    """Print what an experiment would reuse and compute, as far as the Master can tell from flags and earlier jobs."""
    from proteinx_pipelines.cli.terminal import console, table
    from proteinx_pipelines.visible import visible

    with client_of(url) as client:
        found = client.plan(flags, experiment_id)
    if as_json:
        print_json(found)
        return
    shown = table(["stage", "action", "reason"])
    for stage in found["stages"]:
        shown.add_row(*(visible(str(stage[name])) for name in ("stage", "action", "reason")))
    console().print(shown)
    if found["unread_flags"]:
        click.echo(f"Note: {found['unread_flags']}")
    if found["compared_with"] is not None:
        click.echo(f"Compared with {found['compared_with']}.")
    if not found["to_compute"]:
        click.echo("Nothing would be computed.")


def end(job: "JobDocument", *, as_json: bool) -> int:
    """Print how a job ended; 0 if it succeeded."""
    if as_json:
        print_json(job.document())
    else:
        click.echo(f"{job.job_id} ({job.experiment_id}) is {job.state}.")
        for name, value in job.summary.items():
            click.echo(f"  {one_line(name):<24} " + (f"{value:.4g}" if value is not None else "undefined"))
        if job.error is not None:
            click.echo(f"{job.error.code}: {indented(job.error.message or '')}", err=True)
    return 0 if job.state == "SUCCEEDED" else 1


def listing(
    url: str, *, state: str | None, conditions: Sequence[str], sort: str | None, limit: int, as_json: bool
) -> None:
    """Print the jobs of a Master, newest first."""
    from itertools import islice

    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, table

    query = _query(conditions)
    if state is not None:
        query["state"] = _STATES.get(state.upper(), state.upper())
    if sort is not None:
        query["sort"] = sort if "/" not in sort else sort.replace("test/", "metric.test/", 1)
    with client_of(url) as client:
        found = list(islice(client.jobs(size=min(limit, 200), **query), limit))
    if as_json:
        print_json([job.document() for job in found])
        return
    if not found:
        click.echo("No jobs.")
        return
    ranks = {"job": 0, "experiment": 1, "state": 0, "source": 3, "model": 2, "node": 4, "prio": 5, "why": 1}
    rows = table(list(ranks), ranks=ranks)
    for job in found:
        why = job.reason or (f"{job.stage} {job.progress or 0:.0%}" if job.state == "RUNNING" else "")
        cells = (job.job_id, job.experiment_id, job.state, job.source, job.model, job.node, job.priority, why)
        rows.add_row(*(escape(str(cell)) if cell is not None else "" for cell in cells))
    console().print(rows)


def show(url: str, name: str, *, as_json: bool) -> None:
    """Print one job, by its id or its experiment's."""
    with client_of(url) as client:
        document = client.ask_document(f"/api/jobs/{job_of(client, name).job_id}")
    if as_json:
        print_json(document)
        return
    for field, value in document.items():
        if value not in (None, {}, [], "") and field not in ("flags", "result", "schema_version"):
            click.echo(f"{field:<14} {indented(str(value), 15)}")


def cancel(url: str, name: str, *, as_json: bool) -> None:
    """Cancel a job, by its id or its experiment's."""
    with client_of(url) as client:
        _print_state(client.cancel(job_of(client, name)), as_json=as_json)


def logs(url: str, name: str, *, follow: bool, as_json: bool) -> None:
    """Print the log of a job, by its id or its experiment's."""
    with client_of(url) as client:
        for entry in client.logs(job_of(client, name), follow=follow):
            if as_json:
                print_json_line(entry)
            else:
                click.echo(f"{entry.get('time') or '':<30} {indented(str(entry.get('text', '')), 31)}")


def result(url: str, name: str, *, as_json: bool) -> int:
    """Print how a job ended, by its id or its experiment's; 0 if it succeeded."""
    with client_of(url) as client:
        job = job_of(client, name)
    if not job.is_ended:
        raise click.ClickException(f"{job.job_id} has not ended: it is {job.state}.")
    return end(job, as_json=as_json)


def job_of(client: "Client", name: str) -> "JobDocument":
    """A job by its id, or the newest one of an experiment."""
    if name.startswith("j-"):
        return client.job(name)
    for job in client.jobs(experiment_id=name, size=1):
        return job
    raise click.ClickException(
        f"The Master has no job and no experiment {name!r}; `proteinx list` lists its jobs."
    )


def _print_state(job: "JobDocument", *, as_json: bool) -> None:
    if as_json:
        print_json(job.document())
    elif job.is_ended:
        click.echo(f"{job.job_id} is {job.state}.")
    else:
        click.echo(f"{job.job_id} is {job.state}: {one_line(job.reason or 'it goes on')}.")


def _query(conditions: Sequence[str]) -> dict[str, Any]:
    """`model=gp`, `split.seed=3`, `test/spearman>0.6` as a Master's filters."""
    query: dict[str, Any] = {}
    for condition in conditions:
        sign = next((sign for sign in (">=", "<=", ">", "<", "=") if sign in condition), None)
        if sign is None:
            raise click.UsageError(f"{condition!r}: a condition is NAME=VALUE, or METRIC>NUMBER.")
        name, value = (part.strip() for part in condition.split(sign, 1))
        if sign != "=":
            query[f"metric.{name}.{'min' if '>' in sign else 'max'}"] = value
        elif name in _FILTERS:
            query[name] = value
        else:
            query[f"flag.{name}"] = value
    return query
