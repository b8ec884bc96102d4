"""Routes of nodes: list, one, heartbeat, join, drain."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S, BEAT_EVERY_S, GpuUsage, Heartbeat
from proteinx_pipelines.contract.keys import QueueKeys, node_name_problem
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.master.http.access import Admin, MasterOf, NodeCaller, Reader, master_of, scope
from proteinx_pipelines.master.http.json_answer import json_answer
from proteinx_pipelines.master.http.lists import Page, Size
from proteinx_pipelines.master.http.plain_json import plain_json
from proteinx_pipelines.master.http.problems import Conflict, HttpProblem, NotFound
from proteinx_pipelines.master.http.slow import slow_work_of
from proteinx_pipelines.master.nodes import registry
from proteinx_pipelines.master.nodes.beats import WRITE_EVERY_S
from proteinx_pipelines.master.nodes.joining import Seat, other_holder
from proteinx_pipelines.master.nodes.views import node_documents
from proteinx_pipelines.master.settings import LOOPBACK
from proteinx_pipelines.queue.addresses import redis_url

router = APIRouter(tags=["nodes"])


class Beat(BaseModel):
    """A sign of life over HTTP, for a node that does not reach the Master's Redis."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    heartbeat: Heartbeat
    """State, load and current experiment."""
    gpu_usage: GpuUsage | None = None
    """Load of the GPUs."""
    capabilities: Capabilities | None = None
    """What the node can compute."""


class Joining(BaseModel):
    """A node that wants to work for this Master."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [{"name": "gpu-07"}]}
    )

    name: str = Field(max_length=200)
    """Name of the node (its machine's, unless PROTEINX_NODE_NAME says otherwise)."""
    workdir_id: str | None = Field(default=None, max_length=200)
    """Id of its WORKDIR: the same node may join again, another one of the same name may not."""


@router.get("/nodes", summary="Every node, with its load and its jobs")
def list_nodes(
    master: MasterOf,
    _caller: Reader,
    page: Page = 1,
    size: Size = 100,
) -> dict[str, Any]:
    """Nodes by name; those that are lost are listed too."""
    master.beats.write(master.database)
    with master.database.reading() as connection:
        found = registry.all_nodes(connection)
        items = node_documents(connection, found[(page - 1) * size : page * size])
    return {"items": items, "total": len(found), "page": page, "size": size}


@router.get("/nodes/{name}", summary="One node")
def get_node(name: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """The node as it was seen last."""
    master.beats.write(master.database)
    with master.database.reading() as connection:
        return _document(connection, name)


async def heartbeat(beat: Beat, request: Request, _caller: NodeCaller) -> Response:
    """Keep a node's row up to date; it counts as lost when `alive_for_s` seconds pass without the next one."""
    name = beat.heartbeat.node
    _refuse_bad_name(name)
    given = {
        "heartbeat": beat.heartbeat, "gpu_usage": beat.gpu_usage, "capabilities": beat.capabilities,
    }  # fmt: skip
    documents = {key: document.document() for key, document in given.items() if document is not None}
    master = master_of(request)
    if not master.beats.keep(name, documents):
        await master.database.awrite(
            lambda connection: registry.seen(connection, name, documents, over_http=True), is_news=bool
        )
    elif master.beats.is_timer_wanted():
        asyncio.get_running_loop().call_later(WRITE_EVERY_S, master.beats.write_soon, master.database)
    return json_answer({"name": name, "beat_every_s": BEAT_EVERY_S, "alive_for_s": ALIVE_FOR_S})


router.add_api_route(
    "/nodes/heartbeat", heartbeat, methods=["POST"], summary="Say that a node is alive",
    response_model=dict[str, Any], route_class_override=plain_json(Beat, scope("node"), heartbeat),
)  # fmt: skip


@router.post("/nodes/join", summary="What a node needs to work for this Master")
async def join(asked: Joining, request: Request, master: MasterOf, _caller: NodeCaller) -> Seat:
    """Give a node the address of Redis, the names of its lists and the address of the store."""
    _refuse_bad_name(asked.name)
    settings = master.settings.node
    try:
        url = redis_url(settings)
        holder = await slow_work_of(request).do(  # a Redis that hangs is waited for
            other_holder, url, settings.queue_name, asked.name, asked.workdir_id
        )
    except QueueUnavailable as error:
        raise HttpProblem(503, "queue_unavailable", str(error)) from error
    if holder is not None:
        raise Conflict(
            "node_name_taken",
            f"A node {asked.name!r} is alive, and works in another WORKDIR ({holder}). Names are unique: set "
            "PROTEINX_NODE_NAME to another one.",
        )
    from_here = request.client is None or request.client.host in (*LOOPBACK, "testclient")
    if settings.redis_url is None and not from_here:
        raise Conflict(
            "redis_is_local",
            "This Master uses its embedded server, which only its own machine reaches. Start the Master with REDIS_URL "
            "set to a Redis that all machines reach.",
        )
    keys = QueueKeys(settings.queue_name).of_node(asked.name)
    return Seat(
        name=asked.name,
        redis_url=master.settings.nodes_redis_url or url,
        queue_name=keys.messages,
        result_queue_name=keys.all_results,
        store=settings.store,
    )


@router.post("/nodes/{name}/drain", summary="Give a node no more jobs")
async def drain(name: str, master: MasterOf, _caller: Admin) -> dict[str, Any]:
    """It finishes what it has; then it can be stopped."""
    return await _drain(master, name, is_drained=True)


@router.post("/nodes/{name}/undrain", summary="Give a node jobs again")
async def undrain(name: str, master: MasterOf, _caller: Admin) -> dict[str, Any]:
    """The opposite of draining it."""
    return await _drain(master, name, is_drained=False)


async def _drain(master: MasterOf, name: str, *, is_drained: bool) -> dict[str, Any]:
    def change(connection: Connection) -> dict[str, Any]:
        master.beats.written(connection)
        registry.drain(connection, name, is_drained=is_drained)
        return _document(connection, name)

    return await master.database.awrite(change)


def _document(connection: Connection, name: str) -> dict[str, Any]:
    found = registry.one_node(connection, name)
    if found is None:
        raise NotFound("node", name, "`GET /api/nodes` lists them.")
    return node_documents(connection, [found])[0]


def _refuse_bad_name(name: str) -> None:
    problem = node_name_problem(name)
    if problem is not None:
        raise HttpProblem(422, "bad_node_name", f"The node's name cannot be used: {problem}.", [problem])
