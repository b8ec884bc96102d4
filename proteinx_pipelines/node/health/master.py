"""Checks the Master that runs on this machine, and that it gives jobs to this node."""

from collections.abc import Iterator

from proteinx_pipelines.errors import BackendError, InputError
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.node.processes.joining import own_list
from proteinx_pipelines.node.talking.master_http import MasterHttp, running_master
from proteinx_pipelines.settings import Settings


def check_master(settings: Settings) -> Iterator[Finding]:
    """The Master answers, its queue is not paused, and this node takes jobs of it; nothing without a Master."""
    master = load_master_settings(settings)
    there = running_master(master)
    if there is None:
        if master.address_file.is_file():
            text = (
                "The Master of this WORKDIR was killed. `proteinx up` or `proteinx master` starts it again."
            )
            yield Finding("master", WARNING, text)
        return
    try:
        there.get("/readyz")
        yield Finding("master", OK, f"it answers at {there.url}")
        yield from _look_at_queue(there, settings)
    except (BackendError, InputError) as error:
        yield Finding("master", WRONG, f"{error} See {settings.paths.part_log('master')}.")


def _look_at_queue(there: MasterHttp, settings: Settings) -> Iterator[Finding]:
    queue = there.get("/api/queue")
    if queue["paused"]:
        text = f"The queue is paused: {queue['waiting']} jobs wait. Resume it on the page {there.url}/jobs."
        yield Finding("master", WARNING, text)
    nodes = {node["name"]: node for node in there.get("/api/nodes?size=1000")["items"]}
    here = nodes.get(settings.node_name)
    if here is not None and here["drained"]:
        text = f"Node {settings.node_name} is drained: it gets no jobs. Undrain it on the page {there.url}/nodes."
        yield Finding("master", WARNING, text)
    elif here is not None and here["alive"] and here["queue"] is None:
        wanted = own_list(settings)["QUEUE_NAME"]
        text = f"Node {settings.node_name} does not take messages from {wanted}: start it with `proteinx up`."
        yield Finding("master", WARNING, text)
    if not any(node["takes_jobs"] for node in nodes.values()) and queue["waiting"]:
        yield Finding("master", WARNING, f"{queue['waiting']} jobs wait and no node takes any.")
