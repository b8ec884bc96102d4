"""A node that works for a Master: the names of its lists, and what it gets when it joins one elsewhere."""

import contextlib
import socket
from urllib.parse import urlsplit

from proteinx_pipelines.contract.keys import QueueKeys, node_name_problem
from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.processes.ports import LOOPBACK
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train.meeting import ARRANGED, address_towards

_SIDE = {"PROTEINX_QUEUE_SIDE": "right"}
"""Our Master pushes on the left of a node's list, whatever other programs do on the queue itself."""


def own_list(settings: Settings) -> dict[str, str]:
    """Environment of the parts of a node whose Master runs beside it: lists of the node's own.

    Raises:
        SettingsError: the node's name cannot be part of the name of a list.
    """
    _refuse_bad_name(settings)
    keys = QueueKeys(settings.queue_name, settings.result_queue_name).of_node(settings.node_name)
    return {"QUEUE_NAME": keys.messages, "RESULT_QUEUE_NAME": keys.all_results, **_SIDE}


def join(settings: Settings, url: str, token: str | None) -> dict[str, str]:
    """Ask a Master for a place; returns the environment in which this node then works.

    Raises:
        SettingsError: the node's name cannot be used.
        MasterRefused: the Master does not want it: the token, or the name of another node.
        MasterUnavailable: the Master does not answer.
    """
    _refuse_bad_name(settings)
    prepare_workdir(settings)
    asked = {"name": settings.node_name, "workdir_id": Ledger(settings.state_path).workdir_id()}
    seat = MasterHttp(url, token).post("/api/nodes/join", asked)
    environment = {
        "REDIS_URL": seat["redis_url"],
        "QUEUE_NAME": seat["queue_name"],
        "RESULT_QUEUE_NAME": seat["result_queue_name"],
        "PROTEINX_NODE_NAME": seat["name"],
        "PROTEINX_MASTER": url,
        **_SIDE,
    }
    environment |= meeting_of(settings, seat["redis_url"])
    if seat.get("store"):
        environment["PROTEINX_STORE"] = seat["store"]
    return environment


def meeting_of(settings: Settings, redis_url: str | None) -> dict[str, str]:
    """Environment with the place at which trainings on several machines meet, when this node has their experiment.

    Args:
        settings: of the node; a place that they name stays.
        redis_url: of the Redis that all nodes reach, towards which the address is chosen; None: one on this machine.

    Returns:
        Nothing where Redis cannot be reached: the node then has no trainings on several machines.
    """
    if settings.meeting is not None:
        return {ARRANGED: settings.meeting}
    own = LOOPBACK if redis_url is None else address_towards(urlsplit(redis_url).hostname or LOOPBACK)
    return {} if own is None else {ARRANGED: f"{own}:{_two_free_ports(own)}"}


def _two_free_ports(address: str) -> int:
    """The first of two ports side by side that nobody listens on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        with socket.socket(family) as first, socket.socket(family) as second:
            first.bind((address, 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                second.bind((address, port + 1))
                return port


def _refuse_bad_name(settings: Settings) -> None:
    problem = node_name_problem(settings.node_name)
    if problem is not None:
        raise SettingsError(f"The node's name (PROTEINX_NODE_NAME) cannot be used: {problem}.")
