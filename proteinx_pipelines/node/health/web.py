"""Checks the web server: that ours answers, and that no other program has its port."""

from collections.abc import Iterator

from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.node.processes.ports import LOOPBACK, is_free, read_address
from proteinx_pipelines.node.processes.ready_parts import PARTS, is_ready
from proteinx_pipelines.node.processes.start_checks import port_holder
from proteinx_pipelines.settings import Settings


def check_web(settings: Settings) -> Iterator[Finding]:
    """Report a fault when another program has the port of the settings, or when our server does not answer."""
    address = read_address(settings.paths.running("web"))
    if address is not None and address.is_served:
        yield Finding("web", OK, f"answers at {address.url}")
    elif settings.web_port and not is_free(settings.web_port):
        yield Finding(
            "web",
            WRONG,
            f"Port {settings.web_port} (PROTEINX_WEB_PORT) on {LOOPBACK} is taken by "
            f"{port_holder(settings.web_port)}: the page there is not this node's. Stop it, or choose another port.",
        )
    elif not any(is_ready(settings, part) for part in PARTS):
        yield Finding("web", OK, "The web server starts with the node.")
    elif address is not None and address.is_alive:
        yield Finding(
            "web", WARNING, f"The web server does not answer at {address.url} yet; see {settings.logs_dir}."
        )
    else:
        yield Finding(
            "web", WARNING, "No web server runs: `proteinx up` was started with --no-web, or it has ended."
        )
