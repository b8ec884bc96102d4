"""`proteinx up`: runs the whole node, and a Master beside it, in the foreground; `proteinx node`: a node elsewhere."""

import os
import time
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.settings import Settings

if TYPE_CHECKING:
    from proteinx_pipelines.master.settings import MasterSettings


@click.command(
    epilog=examples(
        "proteinx up",
        "PROTEINX_WEB_PORT=3000 proteinx up",
        "REDIS_URL=redis://master.example:6379/0 proteinx up --no-web",
        "REDIS_URL=redis://127.0.0.1:6379/0 proteinx up --with-master",
    )
)
@click.option("--no-web", is_flag=True, help="Do not start Dagster's web server.")
@click.option(
    "--with-master/--node-only",
    "with_master",
    default=None,
    help="Start a Master beside the node, or not; by default where REDIS_URL is not set.",
)
@click.option("--verbose", "-v", is_flag=True, help="Also print the logs of the node's processes.")
def up(no_web: bool, with_master: bool | None, verbose: bool) -> None:
    """Start the node, and on one machine the Master too, and keep them running until Ctrl-C.

    Starts the embedded server (when REDIS_URL is not set), the Master, the code server, the step worker, the run host,
    the daemon, the agent and Dagster's web server. A process that dies is started again. Ctrl-C stops all of them; an
    experiment running at that moment continues when the node is started again.

    With a Master, the node takes its jobs from a list of its own (QUEUE_NAME and the node's name); messages on the
    queue itself go through the Master, and their results come back on the same lists as without one.
    """
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.node.processes.node_process import begin_part
    from proteinx_pipelines.settings import load_settings

    begin_part()
    settings = load_settings()
    has_master = settings.redis_url is None if with_master is None else with_master
    master = load_master_settings(settings) if has_master else None
    _run(settings, web=not no_web, verbose=verbose, master=master)


@click.command(
    epilog=examples(
        "PROTEINX_TOKEN=px_... proteinx node --master http://master.example:8000",
        "PROTEINX_LABELS=a100 proteinx node --master http://127.0.0.1:8000 --name gpu-07",
    )
)
@click.option(
    "--master",
    "master_url",
    envvar="PROTEINX_MASTER",
    metavar="URL",
    required=True,
    help="Address of the Master.",
)
@click.option("--name", help="Name of this node; by default PROTEINX_NODE_NAME, or the machine's.")
@click.option("--no-web", is_flag=True, help="Do not start Dagster's web server.")
@click.option("--verbose", "-v", is_flag=True, help="Also print the logs of the node's processes.")
def node(master_url: str, name: str | None, no_web: bool, verbose: bool) -> None:
    """Run a node for a Master, and keep it running until Ctrl-C.

    The Master tells the address of Redis, the names of the lists, and where files go. PROTEINX_TOKEN holds a token with
    the scope `node` (`proteinx master token --scope node` on the Master's machine). Nothing else has to be set up: the
    data come with the jobs, and a node that is swapped for another leaves nothing to migrate.
    """
    from proteinx_pipelines.http_address import shown
    from proteinx_pipelines.node.processes.joining import join
    from proteinx_pipelines.node.processes.node_process import begin_part
    from proteinx_pipelines.settings import load_settings

    begin_part()
    if name is not None:
        os.environ["PROTEINX_NODE_NAME"] = name
    environment = join(load_settings(), master_url, os.environ.get("PROTEINX_TOKEN") or None)
    os.environ.update(environment)
    click.echo(f"Joined the Master at {shown(master_url)} as {environment['PROTEINX_NODE_NAME']}.")
    _run(load_settings(), web=not no_web, verbose=verbose, master_url=master_url)


def _run(
    settings: Settings,
    *,
    web: bool,
    verbose: bool,
    master: "MasterSettings | None" = None,
    master_url: str | None = None,
) -> None:
    """Supervise the parts until asked to stop."""
    from proteinx_pipelines.node.health.versions import check_versions
    from proteinx_pipelines.node.lifecycle.finding import WRONG
    from proteinx_pipelines.node.processes.joining import meeting_of, own_list
    from proteinx_pipelines.node.processes.supervisor import Supervisor

    click.echo(f"Starting the node in {settings.workdir} ...")
    for finding in check_versions(settings):
        if finding.level == WRONG:
            click.echo(f"Wrong: {finding.text}", err=True)
    environment = {}
    if master is not None:
        environment = {**own_list(settings), **meeting_of(settings, settings.redis_url)}
    supervisor = Supervisor(
        settings, _say, web=web, verbose=verbose, master=master,
        node_environment=environment,
    )  # fmt: skip
    supervisor.run(
        lambda seconds: _announce(settings, seconds, web=web, master=master, master_url=master_url)
    )
    click.echo("The node has stopped.")


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}")


def _announce(
    settings: Settings, seconds: float, *, web: bool, master: "MasterSettings | None", master_url: str | None
) -> None:
    from proteinx_pipelines.http_address import shown
    from proteinx_pipelines.node.processes.ports import read_address
    from proteinx_pipelines.node.talking.master_http import running_master
    from proteinx_pipelines.queue.addresses import redis_url
    from proteinx_pipelines.redaction import redact

    page = read_address(settings.paths.running("web")) if web else None
    queues = f"list {settings.queue_name}, results on {settings.result_queue_name}"
    there = None if master is None else running_master(master)
    address = master_url or (there.url if there is not None else None)
    rows = [
        *([("open", f"{shown(address)}{_other_port(master, address)}")] if address is not None else []),
        ("web", f"{page.url} (Dagster; starts now)" if page else "not started"),
        ("redis", f"{redact(redis_url(settings))}   ({queues})"),
        ("workdir", str(settings.workdir)),
        *([("settings", str(settings.file))] if settings.file else []),
        ("logs", str(settings.logs_dir)),
    ]
    click.echo(f"Node {settings.node_name} is ready after {seconds:.1f} s.")
    for name, value in rows:
        click.echo(f"  {name:<8} {value}")
    click.echo("Submit with `proteinx submit`; stop with Ctrl-C.")


def _other_port(master: "MasterSettings | None", address: str) -> str:
    """Says that the default port was taken."""
    from proteinx_pipelines.master.settings import DEFAULT_PORT

    if master is None or master.is_port_asked or address.endswith(f":{DEFAULT_PORT}"):
        return ""
    return f"   (port {DEFAULT_PORT} is taken)"
