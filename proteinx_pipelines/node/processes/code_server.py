"""Address of the node's code server, for the daemon and the web server that share it.

One process loads the definitions and executes the sensor; the daemon and the web server get a generated
workspace file that points at it. Starting it is `defs.servers`.
"""

import json
import time

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.node.processes.ports import LOOPBACK, Address, claim_address, read_address
from proteinx_pipelines.settings import Settings

LOCATION = "proteinx"
"""Name of the code location; `pyproject.toml` and `workspace.yaml` say the same."""
LISTENS = "PROTEINX_CODE_SERVER"
"""Set in the environment of the node's code server.

Elsewhere (`dagster dev`, `make dev`) the sensor is off unless somebody switches it on: a second daemon on the same run
history would write its ticks among the node's, and delay the node's next one.
"""
WAIT_S = 120.0
"""Longest wait for the code server, in seconds."""
_LOOK_S = 0.1


class CodeServerError(BackendError):
    """No code server answers in this WORKDIR; start `proteinx code-server`, or `proteinx up`."""

    code = "no_code_server"


def claim_code_server(settings: Settings) -> Address:
    """Claim the address at which this process will serve the definitions."""
    return claim_address(settings.paths.running("code_server"), f"grpc://{LOOPBACK}:{{port}}")


def workspace_file(settings: Settings, wait_s: float = WAIT_S) -> str:
    """Wait for the code server and write the workspace file that points at it; the file's path.

    Raises:
        CodeServerError: none answered within `wait_s` seconds.
    """
    address = _wait_for(settings, wait_s)
    server = {"host": LOOPBACK, "port": address.port, "location_name": LOCATION}
    # JSON is YAML; nothing has to be quoted by hand.
    path = settings.paths.code_locations
    return str(write_text(path, json.dumps({"load_from": [{"grpc_server": server}]}) + "\n"))


def _wait_for(settings: Settings, wait_s: float) -> Address:
    end = time.monotonic() + wait_s
    while True:
        address = read_address(settings.paths.running("code_server"))
        if address is not None and address.is_served:
            return address
        if time.monotonic() >= end:
            raise CodeServerError(
                f"No code server answers in {settings.workdir}. Start `proteinx code-server` there, "
                "or the whole node with `proteinx up`."
            )
        time.sleep(_LOOK_S)
