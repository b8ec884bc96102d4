"""A node that works for a Master: the names of its lists, and what it gets when it joins one elsewhere."""

from proteinx_pipelines.contract.keys import QueueKeys, node_name_problem
from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.settings import Settings

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
    if seat.get("store"):
        environment["PROTEINX_STORE"] = seat["store"]
    return environment


def _refuse_bad_name(settings: Settings) -> None:
    problem = node_name_problem(settings.node_name)
    if problem is not None:
        raise SettingsError(f"The node's name (PROTEINX_NODE_NAME) cannot be used: {problem}.")
