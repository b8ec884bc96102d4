"""`proteinx job`: verbs that only a Master has, on its jobs and its queue."""

import click

from proteinx_pipelines.cli.at_master import client_of, job_of, master_option, master_or_here
from proteinx_pipelines.cli.completing import experiment_ids, flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples


class _Group(PlainErrors, click.Group):
    """Commands that ask a Master."""


@click.group(
    cls=_Group,
    epilog=examples(
        "proteinx job retry gb1-001",
        "proteinx job clone j-3fa9c1d27b40e6a8 split.method=by_position",
        "proteinx job move j-3fa9c1d27b40e6a8 --before j-51cc02f9d0a7b3e4",
        "proteinx job pause",
    ),
)
def job() -> None:
    """Retry, clone, hold, release, move jobs at a Master; pause and resume its queue."""


@job.command(cls=PlainErrors)
@click.argument("name", metavar="ID", shell_complete=experiment_ids)
@master_option
@json_option
def retry(name: str, master_url: str | None, as_json: bool) -> None:
    """Ask for the same work again, as a new job on the same experiment."""
    with client_of(master_or_here(master_url)) as client:
        made = client.retry(job_of(client, name))
    print_json(made.document()) if as_json else click.echo(f"{made.job_id} tries {made.experiment_id} again.")


@job.command(cls=PlainErrors)
@click.argument("name", metavar="ID", shell_complete=experiment_ids)
@click.argument("changes", nargs=-1, metavar="[FLAG=VALUE ...]", shell_complete=flag_pairs)
@click.option("--id", "experiment_id", help="Id of the new experiment; made up if omitted.")
@master_option
@json_option
def clone(
    name: str, changes: tuple[str, ...], experiment_id: str | None, master_url: str | None, as_json: bool
) -> None:
    """Ask for work like this job's, with changed flags; unchanged stages are taken over."""
    from proteinx_pipelines.flags.pairs import read_pairs
    from proteinx_pipelines.flags.problems import sentences

    pairs, problems = read_pairs(list(changes))
    if problems:
        raise click.UsageError(" ".join(sentences(problems)))
    with client_of(master_or_here(master_url)) as client:
        made = client.clone(job_of(client, name), dict(pairs), experiment_id=experiment_id)
    print_json(made.document()) if as_json else click.echo(f"{made.job_id} works on {made.experiment_id}.")


@job.command(cls=PlainErrors)
@click.argument("name", metavar="ID", shell_complete=experiment_ids)
@master_option
@json_option
def hold(name: str, master_url: str | None, as_json: bool) -> None:
    """Keep a waiting job from going to a node."""
    _change(name, master_url, as_json=as_json, held=True)


@job.command(cls=PlainErrors)
@click.argument("name", metavar="ID", shell_complete=experiment_ids)
@master_option
@json_option
def release(name: str, master_url: str | None, as_json: bool) -> None:
    """Let a held job wait for a node again."""
    _change(name, master_url, as_json=as_json, held=False)


@job.command(cls=PlainErrors)
@click.argument("name", metavar="ID", shell_complete=experiment_ids)
@click.option("--priority", type=click.IntRange(-100, 100), help="New priority; higher goes first.")
@click.option("--before", metavar="ID", shell_complete=experiment_ids, help="Job that it is to go before.")
@click.option("--after", metavar="ID", shell_complete=experiment_ids, help="Job that it is to go behind.")
@master_option
@json_option
def move(
    name: str,
    priority: int | None,
    before: str | None,
    after: str | None,
    master_url: str | None,
    as_json: bool,
) -> None:
    """Change the priority of a waiting job, or its place beside another one."""
    if sum(each is not None for each in (priority, before, after)) != 1:
        raise click.UsageError("Give one of --priority, --before and --after.")
    _change(name, master_url, as_json=as_json, priority=priority, before=before, after=after)


@job.command(cls=PlainErrors)
@master_option
@json_option
def queue(master_url: str | None, as_json: bool) -> None:
    """Print the counts by state, the longest wait, and whether the queue is paused."""
    _queue(master_url, "queue", as_json=as_json)


@job.command(cls=PlainErrors)
@master_option
@json_option
def pause(master_url: str | None, as_json: bool) -> None:
    """Let no further job go to a node."""
    _queue(master_url, "pause", as_json=as_json)


@job.command(cls=PlainErrors)
@master_option
@json_option
def resume(master_url: str | None, as_json: bool) -> None:
    """Let jobs go to nodes again."""
    _queue(master_url, "resume", as_json=as_json)


def _change(name: str, url: str | None, *, as_json: bool, **fields: object) -> None:
    with client_of(master_or_here(url)) as client:
        for beside in ("before", "after"):
            if isinstance(other := fields.get(beside), str):
                fields[beside] = job_of(client, other)
        done = client.change(job_of(client, name), **fields)  # type: ignore[arg-type]
    place = f", place {done.position}" if done.position is not None else ""
    print_json(done.document()) if as_json else click.echo(f"{done.job_id} is {done.state}{place}.")


def _queue(url: str | None, verb: str, *, as_json: bool) -> None:
    with client_of(master_or_here(url)) as client:
        found = getattr(client, verb)()
    if as_json:
        print_json(found)
        return
    click.echo("The queue is paused." if found["paused"] else "The queue runs.")
    for state, number in found["counts"].items():
        if number:
            click.echo(f"  {state:<10} {number}")
