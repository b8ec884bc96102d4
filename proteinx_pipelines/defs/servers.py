"""Entry points of Dagster's own servers, sharing one workspace: code server, daemon and web server."""

import os

from proteinx_pipelines.node.health.numbers import node_metrics
from proteinx_pipelines.node.processes.code_server import LISTENS, LOCATION, claim_code_server, workspace_file
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.node.processes.part_logging import JSON
from proteinx_pipelines.node.processes.ports import LOOPBACK, claim_web
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.settings import Settings

MODULE = "proteinx_pipelines.definitions"


def run_code_server(settings: Settings) -> None:
    """Serve the definitions (and execute the sensor) until SIGTERM or SIGINT."""
    from dagster._cli.api import grpc_command

    # A tick of the sensor may wait 20 s for a message. It can be cut off anywhere: a stop does not wait for it.
    os.environ.setdefault("DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD", "1")
    os.environ[LISTENS] = "1"  # read when the definitions are loaded, below
    prepare_workdir(settings)
    lock = PartLock(settings.paths, "code_server", "The code server")
    lock.acquire()
    address = claim_code_server(settings)
    arguments = [
        "--module-name", MODULE, "--host", LOOPBACK, "--port", str(address.port), "--location-name", LOCATION,
        *_logging(settings),
    ]  # fmt: skip
    grpc_command.main(args=arguments, prog_name="proteinx code-server")


def run_daemon(settings: Settings) -> None:
    """Dagster's daemon on this node's code server."""
    from proteinx_pipelines.defs import processes

    arguments = ["--workspace", workspace_file(settings), *_logging(settings)]
    processes.run_daemon(settings, arguments)


def run_web(settings: Settings) -> None:
    """Dagster's web server on 127.0.0.1, on this node's code server, with the experiments' files."""
    from proteinx_pipelines.defs.private.web import serve

    workspace = workspace_file(settings)
    address = claim_web(settings)
    arguments = ["--workspace", workspace, "--host", LOOPBACK, "--port", str(address.port)]
    arguments += _logging(settings, "--dagster-log-level")
    serve(arguments, settings.experiments_dir, lambda: node_metrics(settings))


def _logging(settings: Settings, option: str = "--log-level") -> list[str]:
    """Dagster's own loggers: from the node's level on, and in JSON where the node logs so."""
    return [
        option,
        settings.log_level.lower(),
        *(["--log-format", JSON] if settings.log_format == JSON else []),
    ]
