"""`proteinx mcp`: the verbs of a Master for agents."""

import click

from proteinx_pipelines.cli.at_master import client_of, master_option, master_or_here
from proteinx_pipelines.cli.lazy import PlainErrors, examples


@click.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx mcp --master http://127.0.0.1:8000",
        "PROTEINX_TOKEN=px_... proteinx mcp --master http://lab:8000",
    ),
)
@master_option
def mcp(master_url: str | None) -> None:
    """Serve the Master's verbs to an agent, as tools of the Model Context Protocol (extra `mcp`).

    The agent's program starts this command and talks over standard input and output. Without --master, the Master
    that runs in this WORKDIR is asked. PROTEINX_TOKEN decides what is offered: `read` alone offers no tool that
    changes anything.
    """
    from proteinx_pipelines.mcp_server.server import serve

    with client_of(master_or_here(master_url)) as client:
        serve(client)
