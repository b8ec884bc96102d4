"""Entry points of Dagster's own servers: the code server, the daemon and the web server, sharing one workspace."""

import time

import dagster as dg

from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.node.code_server import LOCATION, claim_code_server, workspace_file
from proteinx_pipelines.node.locks import ProcessLock
from proteinx_pipelines.node.ports import LOOPBACK, claim_address
from proteinx_pipelines.node.workdir import prepare_workdir
from proteinx_pipelines.settings import Settings

MODULE = "proteinx_pipelines.definitions"
_FIRST_OPEN_WAIT_S = 60.0


def run_code_server(settings: Settings) -> None:
    """Serve the definitions (and execute the sensor) until SIGTERM or SIGINT."""
    from dagster._cli.api import grpc_command

    prepare_workdir(settings)
    lock = ProcessLock(settings.run_dir / "code_server.lock", "The code server")
    lock.acquire()
    address = claim_code_server(settings)
    arguments = [
        "--module-name", MODULE, "--host", LOOPBACK, "--port", str(address.port), "--location-name", LOCATION,
        "--log-level", "warning",
    ]  # fmt: skip
    grpc_command.main(args=arguments, prog_name="proteinx code-server")


def run_daemon(settings: Settings) -> None:
    """Dagster's daemon on this node's code server."""
    from proteinx_pipelines.defs import processes

    create_history(settings)
    arguments = ["--workspace", workspace_file(settings), "--log-level", "warning"]
    processes.run_daemon(settings, arguments)


def run_web(settings: Settings) -> None:
    """Dagster's web server on 127.0.0.1, on this node's code server."""
    from dagster_webserver.cli import dagster_webserver

    create_history(settings)
    workspace = workspace_file(settings)
    address = claim_address(settings.run_dir / "web.json", f"http://{LOOPBACK}:{{port}}", settings.web_port)
    arguments = ["--workspace", workspace, "--host", LOOPBACK, "--port", str(address.port)]
    dagster_webserver.main(args=arguments, prog_name="proteinx web")


def create_history(settings: Settings) -> None:
    """Create Dagster's databases in a fresh DAGSTER_HOME, one process at a time: two at once fail."""
    prepare_workdir(settings)
    done = settings.dagster_home / "history" / ".created"
    lock = ProcessLock(settings.run_dir / "history.lock", "The run history")
    end = time.monotonic() + _FIRST_OPEN_WAIT_S
    while not done.is_file():
        try:
            lock.acquire()
        except NodeBusy:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
            continue
        dg.DagsterInstance.get().dispose()
        done.touch()
    lock.release()
