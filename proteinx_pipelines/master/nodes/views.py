"""A node as a document, for HTTP and pages."""

from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.master.database.job_tables import jobs, lent
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.nodes.node import Node

_USAGE = (
    "cpu_percent",
    "cpu_count",
    "memory_used_bytes",
    "memory_total_bytes",
    "disk_free_bytes",
    "disk_total_bytes",
)


def node_documents(connection: Connection, nodes: list[Node]) -> list[dict[str, Any]]:
    """The documents of nodes, each with the jobs that it has now."""
    query = select(
        jobs.c.job_id, jobs.c.experiment_id, jobs.c.state, jobs.c.stage, jobs.c.progress, jobs.c.node
    )
    at_work: dict[str, list[dict[str, Any]]] = {}
    for row in rows(connection, query.where(jobs.c.state.in_(ON_A_NODE)).order_by(jobs.c.assigned_at)):
        at_work.setdefault(row.pop("node"), []).append(row)
    lends = lendings(connection)
    return [_document(node, at_work.get(node.name, []), lends.get(node.name)) for node in nodes]


def lendings(connection: Connection) -> dict[str, dict[str, Any]]:
    """Node that is lent -> `job_id` and `experiment_id` of the training that it is lent to."""
    query = select(lent.c.node, jobs.c.job_id, jobs.c.experiment_id)
    found = rows(connection, query.join(jobs, jobs.c.job_id == lent.c.job_id))
    return {row.pop("node"): row for row in found}


def _document(node: Node, at_work: list[dict[str, Any]], lends_to: dict[str, Any] | None) -> dict[str, Any]:
    heartbeat, capabilities = node.heartbeat or {}, node.capabilities or {}
    running = next((job for job in at_work if job["state"] == "RUNNING"), None)
    return {
        "name": node.name,
        "state": "lost" if node.is_lost else "drained" if node.is_drained else heartbeat.get("state", "idle"),
        "alive": not node.is_lost,
        "drained": node.is_drained,
        "takes_jobs": node.takes_jobs,
        "queue": node.queue,
        "first_seen": node.first_seen,
        "last_seen": node.last_seen,
        "lost_at": node.lost_at,
        **{name: heartbeat.get(name) for name in _USAGE},
        "gpus": (node.gpu_usage or {}).get("gpus", []),
        "labels": list(capabilities.get("labels", [])),
        "current_job": running,
        "jobs": at_work,
        "lends_to": lends_to,
        "capabilities": capabilities,
    }
