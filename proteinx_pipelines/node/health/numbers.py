"""The state of a node as samples for Prometheus: experiments, results, parts, Redis, the shared store, its machine.

Everything is read where it lies, so that any process of the node can answer; nothing waits longer than `PATIENCE_S`.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.files.shared.outgoing import SHARD, STAGE, Outgoing
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.health.journal import Observed
from proteinx_pipelines.node.processes.ready_parts import BEATING, PARTS, pid_of
from proteinx_pipelines.node.talking.usage import disk_usage, gpu_usage, machine_usage
from proteinx_pipelines.observation.exposition import Sample, build_info, exposition, sample
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines.settings import Settings

PATIENCE_S = 2.0
"""Seconds to wait for Redis; a scrape as a whole has ten."""
STATES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")


def node_metrics(settings: Settings) -> str:
    """What a Prometheus reads of the node in this WORKDIR."""
    return exposition(node_samples(settings))


def node_samples(settings: Settings) -> Iterator[Sample]:
    """Samples of one node. What cannot be read is left out."""
    node = settings.node_name
    yield build_info("node")
    for part in (*PARTS, *BEATING):
        alive = int(pid_of(settings, part) is not None)
        yield Sample("proteinx_part_up", alive, {"node": node, "part": part})
    yield from _experiments(settings, node)
    yield from _journal(settings, node)
    yield from _wire(settings, node)
    yield from _machine(settings, node)


def _experiments(settings: Settings, node: str) -> Iterator[Sample]:
    if not settings.state_path.is_file():  # asking creates nothing
        return
    try:
        state = _ledger(settings.state_path)
        counts, oldest, owed = state.counts(), state.oldest_waiting(), state.owed()
        running = next(iter(state.in_state("RUNNING", limit=1)), None)
    except BackendError:
        return
    for name in STATES:
        yield Sample("proteinx_experiments", counts.get(name, 0), {"node": node, "state": name})
    yield Sample("proteinx_experiments_waiting", counts.get("PENDING", 0), {"node": node})
    yield Sample("proteinx_experiments_oldest_seconds", _age(oldest), {"node": node})
    yield Sample("proteinx_results_waiting", owed[0], {"node": node})
    yield Sample("proteinx_results_oldest_seconds", _age(owed[1]), {"node": node})
    beat_at = running.beat_at if running else None
    silent = 0.0 if beat_at is None else max(0.0, time.time() - beat_at)
    yield Sample("proteinx_progress_age_seconds", silent, {"node": node})


def _journal(settings: Settings, node: str) -> Iterator[Sample]:
    observed = Observed.load(settings)
    yield from observed.tally.samples(node)
    yield from sample("proteinx_journal_lag_seconds", observed.lag_s, node=node)


def _wire(settings: Settings, node: str) -> Iterator[Sample]:
    waiting = None
    try:
        with connect(redis_url(settings), PATIENCE_S) as client:
            waiting = RedisQueue(client, settings.queue_name, node).waiting()
    except BackendError:
        yield Sample("proteinx_redis_up", 0, {"node": node})
    else:
        yield Sample("proteinx_redis_up", 1, {"node": node})
    yield from sample("proteinx_list_waiting", waiting, node=node)
    try:
        sent_at = settings.paths.heartbeat_sent.stat().st_mtime
    except OSError:
        sent_at = None
    yield from sample("proteinx_heartbeat_timestamp_seconds", sent_at, node=node)
    if settings.store is not None:
        outgoing = Outgoing(settings.paths.outgoing_dir)
        number = sum(len(outgoing.notes(kind)) for kind in (STAGE, SHARD))
        number += sum(1 for _ in outgoing.experiments())
        yield Sample("proteinx_store_up", int(not settings.paths.store_away.is_file()), {"node": node})
        yield Sample("proteinx_outgoing_waiting", number, {"node": node})


def _machine(settings: Settings, node: str) -> Iterator[Sample]:
    usage: dict[str, Any] = {**machine_usage(), **disk_usage(settings.workdir)}
    yield from sample("proteinx_cpu_ratio", usage["cpu_percent"] / 100, node=node)
    for name in ("memory_used_bytes", "memory_total_bytes", "disk_free_bytes", "disk_total_bytes"):
        yield from sample(f"proteinx_{name}", usage.get(name), node=node)
    for gpu in gpu_usage():
        labels = {"node": node, "gpu": str(gpu.index)}
        load = None if gpu.utilization_percent is None else gpu.utilization_percent / 100
        yield from sample("proteinx_gpu_utilization_ratio", load, **labels)
        yield from sample("proteinx_gpu_memory_used_bytes", gpu.memory_used_bytes, **labels)
        yield from sample("proteinx_gpu_memory_total_bytes", gpu.memory_total_bytes, **labels)


@lru_cache(maxsize=2)
def _ledger(path: Path) -> Ledger:
    """One connection pool a process: a scrape comes every few seconds."""
    return Ledger(path)


def _age(moment: str | None) -> float:
    return max(0.0, (now_utc() - datetime.fromisoformat(moment)).total_seconds()) if moment else 0.0
