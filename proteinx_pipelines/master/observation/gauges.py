"""The state of a Master's database as samples: jobs, the queue, nodes, webhook deliveries."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.contract.heartbeat import GpuUsage, Heartbeat
from proteinx_pipelines.master.database.facts import is_paused
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.database.tables import nodes, outbox
from proteinx_pipelines.master.jobs.standing import counts
from proteinx_pipelines.master.jobs.states import ALL
from proteinx_pipelines.master.nodes.node import Node
from proteinx_pipelines.observation.exposition import Sample, sample

_Document = TypeVar("_Document", Heartbeat, GpuUsage)


def queue_samples(connection: Connection) -> Iterator[Sample]:
    """Jobs by state, depth and age of the queue, and the longest silence of a job on a living node."""
    found = dict.fromkeys(ALL, 0) | counts(connection)
    for state, number in found.items():
        yield Sample("proteinx_jobs", number, {"state": state})
    yield Sample("proteinx_queue_waiting", found["WAITING"])
    oldest = connection.execute(select(func.min(jobs.c.created_at)).where(jobs.c.state == "WAITING")).scalar()
    yield Sample("proteinx_queue_oldest_seconds", _age(oldest))
    yield Sample("proteinx_queue_paused", int(is_paused(connection)))
    silent = (
        select(func.min(jobs.c.updated_at))
        .join(nodes, nodes.c.name == jobs.c.node)
        .where(jobs.c.state == "RUNNING", ~nodes.c.is_lost)
    )
    yield Sample("proteinx_job_unchanged_seconds", _age(connection.execute(silent).scalar()))


def delivery_samples(connection: Connection) -> Iterator[Sample]:
    """Webhook deliveries by state, and how long the oldest has waited."""
    query = select(outbox.c.state, func.count().label("number")).group_by(outbox.c.state)
    found = {"waiting": 0, "sent": 0, "dead": 0} | {
        row.state: row.number for row in connection.execute(query)
    }
    for state, number in found.items():
        yield Sample("proteinx_deliveries", number, {"state": state})
    oldest = select(func.min(outbox.c.created_at)).where(outbox.c.state == "waiting")
    yield Sample("proteinx_deliveries_oldest_seconds", _age(connection.execute(oldest).scalar()))


def node_samples(connection: Connection) -> Iterator[Sample]:
    """Every node that the Master knows: signs of life, and the load that it last published."""
    for row in rows(connection, select(nodes)):
        node = Node.of(row)
        last_seen = datetime.fromisoformat(node.last_seen)
        yield Sample("proteinx_node_up", int(not node.is_lost), {"node": node.name})
        yield Sample("proteinx_node_drained", int(node.is_drained), {"node": node.name})
        yield Sample("proteinx_node_silent_seconds", _age(node.last_seen), {"node": node.name})
        yield Sample("proteinx_node_heartbeat_timestamp_seconds", last_seen.timestamp(), {"node": node.name})
        if not node.is_lost:
            yield from _load(node)


def _load(node: Node) -> Iterator[Sample]:
    beat = _read(Heartbeat, node.heartbeat)
    if beat is not None:
        yield from sample("proteinx_node_busy", int(beat.state == "busy"), node=node.name)
        cpu = None if beat.cpu_percent is None else beat.cpu_percent / 100
        yield from sample("proteinx_node_cpu_ratio", cpu, node=node.name)
        for name in ("memory_used_bytes", "memory_total_bytes", "disk_free_bytes", "disk_total_bytes"):
            yield from sample(f"proteinx_node_{name}", getattr(beat, name), node=node.name)
    usage = _read(GpuUsage, node.gpu_usage)
    for gpu in usage.gpus if usage else ():
        labels = {"node": node.name, "gpu": str(gpu.index)}
        load = None if gpu.utilization_percent is None else gpu.utilization_percent / 100
        yield from sample("proteinx_node_gpu_utilization_ratio", load, **labels)
        yield from sample("proteinx_node_gpu_memory_used_bytes", gpu.memory_used_bytes, **labels)
        yield from sample("proteinx_node_gpu_memory_total_bytes", gpu.memory_total_bytes, **labels)


def _read(kind: type[_Document], document: Mapping[str, Any] | None) -> _Document | None:
    try:
        return kind.model_validate(document) if document else None
    except ValueError:  # of another version
        return None


def _age(time: str | None) -> float:
    return max(0.0, (now_utc() - datetime.fromisoformat(time)).total_seconds()) if time else 0.0
