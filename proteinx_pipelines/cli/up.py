"""`proteinx up`: runs the whole node in the foreground."""

import time

import click

from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.settings import Settings


@click.command(
    epilog=examples(
        "proteinx up",
        "PROTEINX_WEB_PORT=3000 proteinx up",
        "REDIS_URL=redis://master.example:6379/0 proteinx up --no-web",
    )
)
@click.option("--no-web", is_flag=True, help="Do not start the web server.")
@click.option("--verbose", "-v", is_flag=True, help="Also print the logs of the node's processes.")
def up(no_web: bool, verbose: bool) -> None:
    """Start the node and keep it running until Ctrl-C.

    Starts the embedded server (when REDIS_URL is not set), the code server, the step worker, the run host, the
    daemon, the agent and the web server. A process that dies is started again. Ctrl-C stops all of them; an
    experiment running at that moment continues when the node is started again.
    """
    from proteinx_pipelines.node.health.versions import check_versions
    from proteinx_pipelines.node.lifecycle.finding import WRONG
    from proteinx_pipelines.node.processes.node_process import begin_part
    from proteinx_pipelines.node.processes.supervisor import Supervisor
    from proteinx_pipelines.settings import load_settings

    begin_part()
    settings = load_settings()
    click.echo(f"Starting the node in {settings.workdir} ...")
    for finding in check_versions(settings):
        if finding.level == WRONG:
            click.echo(f"Wrong: {finding.text}", err=True)
    supervisor = Supervisor(settings, _say, web=not no_web, verbose=verbose)
    supervisor.run(lambda seconds: _announce(settings, seconds, web=not no_web))
    click.echo("The node has stopped.")


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}")


def _announce(settings: Settings, seconds: float, *, web: bool) -> None:
    from proteinx_pipelines.node.processes.ports import read_address
    from proteinx_pipelines.node.talking.addresses import redis_url
    from proteinx_pipelines.redaction import redact

    page = read_address(settings.paths.running("web")) if web else None
    queues = f"list {settings.queue_name}, results on {settings.result_queue_name}"
    rows = [
        ("web", f"{page.url} (starts now)" if page else "not started"),
        ("redis", f"{redact(redis_url(settings))}   ({queues})"),
        ("workdir", str(settings.workdir)),
        *([("settings", str(settings.file))] if settings.file else []),
        ("logs", str(settings.logs_dir)),
    ]
    click.echo(f"Node {settings.node_name} is ready after {seconds:.1f} s.")
    for name, value in rows:
        click.echo(f"  {name:<8} {value}")
    click.echo("Submit with `proteinx submit`; stop with Ctrl-C.")
