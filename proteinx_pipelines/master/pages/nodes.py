"""The nodes page: who works, who is full, who is gone."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, func, select

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.nodes.views import lendings
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)
FULL = 0.9
"""Share of a resource above which its bar warns."""


@router.get("/nodes")
def show(request: Request, master: MasterOf, caller: Reader) -> Response:
    """One row a node, those that are there first."""
    master.beats.write(master.database)
    with master.database.reading() as connection:
        lends = lendings(connection)
        found = [
            {**_row(connection, dict(row)), "lends": lends.get(row["name"])}
            for row in connection.execute(select(nodes)).mappings()
        ]
        waiting = connection.execute(
            select(func.count()).select_from(jobs).where(jobs.c.state == "WAITING")
        ).scalar_one()
    found.sort(key=lambda row: (row["state"] == "lost", row["name"]))
    return page(
        request,
        caller,
        "nodes.html",
        nodes=found,
        waiting=waiting,
        full=FULL,
        address=str(request.base_url).rstrip("/"),
    )


def _row(connection: Connection, node: Mapping[str, Any]) -> dict[str, Any]:
    beat, able, load = (node[name] or {} for name in ("heartbeat", "capabilities", "gpu_usage"))
    query = select(jobs.c.job_id, jobs.c.experiment_id, jobs.c.state, jobs.c.stage, jobs.c.progress)
    has = query.where(jobs.c.node == node["name"], jobs.c.state.in_(ON_A_NODE)).order_by(jobs.c.number)
    return {
        "name": node["name"],
        "state": _state(node, beat),
        "is_drained": node["is_drained"],
        "last_seen": node["last_seen"],
        "cpu": _share(beat.get("cpu_percent"), 100),
        "cpu_count": beat.get("cpu_count") or able.get("cpu_count"),
        "memory": _share(beat.get("memory_used_bytes"), beat.get("memory_total_bytes")),
        "memory_total": beat.get("memory_total_bytes") or able.get("memory_total_bytes"),
        "gpus": [
            {
                "name": gpu.get("name"),
                "load": _share(gpu.get("utilization_percent"), 100),
                "memory": _share(gpu.get("memory_used_bytes"), gpu.get("memory_total_bytes")),
            }
            for gpu in load.get("gpus") or able.get("gpus") or ()
        ],
        "disk_free": beat.get("disk_free_bytes"),
        "labels": list(able.get("labels") or ()),
        "version": (able.get("versions") or {}).get("proteinx-infra"),
        "embedders": [
            each.get("name") for each in able.get("embedders") or () if each.get("weights") != "absent"
        ],
        "jobs": [dict(row) for row in connection.execute(has).mappings()],
    }


def _state(node: Mapping[str, Any], beat: Mapping[str, Any]) -> str:
    if node["is_lost"]:
        return "lost"
    if node["is_drained"]:
        return "drained"
    return "busy" if beat.get("state") == "busy" else "idle"


def _share(used: Any, whole: Any) -> float | None:
    """A share from 0 to 1; None where a node has not said."""
    if not isinstance(used, int | float) or not isinstance(whole, int | float) or not whole:
        return None
    return min(1.0, max(0.0, used / whole))
