"""Every metric that a Master or a node exports, in one table: name, kind, labels, unit, help.

`exposition` refuses a sample that the table lacks. The page, the dashboard, the alert rules and their tests read it.
Names of a Master's view of its nodes begin with `proteinx_node_`; no name is exported by both sides, but
`proteinx_build_info`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
Side = Literal["master", "node", "both"]


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    """As Prometheus stores it; that of a counter ends with `_total`."""
    kind: Kind
    side: Side
    """Who exports it."""
    labels: tuple[str, ...]
    unit: str
    """What is counted or measured: `seconds`, `bytes`, `ratio` (0 to 1), `jobs`, ..."""
    help: str
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, ascending, in `unit`."""


def _gauge(side: Side, name: str, labels: str, unit: str, text: str) -> Metric:
    return Metric(f"proteinx_{name}", "gauge", side, tuple(labels.split()), unit, text)


def _counter(side: Side, name: str, labels: str, unit: str, text: str) -> Metric:
    return Metric(f"proteinx_{name}", "counter", side, tuple(labels.split()), unit, text)


STAGE_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

TABLE: tuple[Metric, ...] = (
    _gauge("both", "build_info", "part version", "1", "Version of the package; always 1."),
    # The Master: jobs and the queue.
    _gauge("master", "jobs", "state", "jobs", "Jobs in each state."),
    _gauge("master", "queue_waiting", "", "jobs", "Jobs that wait for a node."),
    _gauge(
        "master", "queue_oldest_seconds", "", "seconds", "Seconds that the oldest waiting job has waited."
    ),
    _gauge("master", "queue_paused", "", "boolean", "1 while no job may go to a node."),
    _gauge(
        "master",
        "job_unchanged_seconds",
        "",
        "seconds",
        "Longest time that a job on a living node has told nothing new; 0 without one.",
    ),
    _counter(
        "master",
        "jobs_ended_total",
        "state reason",
        "jobs",
        "Jobs that have ended since the Master started, with the code of their error.",
    ),
    # The Master: its view of the nodes, from their heartbeats.
    _gauge("master", "node_up", "node", "boolean", "1 while a node gives signs of life."),
    _gauge("master", "node_silent_seconds", "node", "seconds", "Seconds since a node's last sign of life."),
    _gauge(
        "master", "node_heartbeat_timestamp_seconds", "node", "seconds", "Time of a node's last sign of life."
    ),
    _gauge("master", "node_drained", "node", "boolean", "1 while a node gets no more jobs."),
    _gauge("master", "node_busy", "node", "boolean", "1 while an experiment runs on a node."),
    _gauge("master", "node_cpu_ratio", "node", "ratio", "Load of all cores of a node."),
    _gauge("master", "node_memory_used_bytes", "node", "bytes", "Memory in use on a node."),
    _gauge("master", "node_memory_total_bytes", "node", "bytes", "Memory of a node."),
    _gauge("master", "node_disk_free_bytes", "node", "bytes", "Free space where a node's WORKDIR is."),
    _gauge("master", "node_disk_total_bytes", "node", "bytes", "Size of that file system."),
    _gauge("master", "node_gpu_utilization_ratio", "node gpu", "ratio", "Load of a GPU of a node."),
    _gauge("master", "node_gpu_memory_used_bytes", "node gpu", "bytes", "Memory in use on a GPU of a node."),
    _gauge("master", "node_gpu_memory_total_bytes", "node gpu", "bytes", "Memory of a GPU of a node."),
    # The Master: events, webhooks, requests.
    _counter(
        "master", "events_total", "event", "events", "Events recorded since the Master started, by name."
    ),
    _gauge(
        "master",
        "event_lag_seconds",
        "",
        "seconds",
        "Age of the last event that a node has told, when it came.",
    ),
    _gauge("master", "deliveries", "state", "deliveries", "Webhook deliveries in each state."),
    _gauge(
        "master",
        "deliveries_oldest_seconds",
        "",
        "seconds",
        "Seconds that the oldest webhook delivery has waited.",
    ),
    _counter(
        "master",
        "http_requests_total",
        "method route status",
        "requests",
        "Requests answered since the Master started.",
    ),
    Metric(
        "proteinx_http_request_seconds",
        "histogram",
        "master",
        ("method", "route"),
        "seconds",
        "Seconds until an answer began.",
        REQUEST_BUCKETS_S,
    ),
    # A node: experiments and the queue.
    _gauge("node", "experiments", "node state", "experiments", "Experiments (generations) in each state."),
    _gauge("node", "experiments_waiting", "node", "experiments", "Experiments taken in that wait here."),
    _gauge("node", "experiments_oldest_seconds", "node", "seconds", "Seconds that the oldest has waited."),
    _gauge("node", "list_waiting", "node", "messages", "Messages on the list that the node takes from."),
    _gauge("node", "results_waiting", "node", "results", "Results that are not delivered yet."),
    _gauge("node", "results_oldest_seconds", "node", "seconds", "Seconds that the oldest result has waited."),
    _counter(
        "node",
        "experiments_ended_total",
        "node state reason",
        "experiments",
        "Experiments that have ended, with the code of their error.",
    ),
    _gauge(
        "node",
        "progress_age_seconds",
        "node",
        "seconds",
        "Seconds since the running experiment's last sign of progress; 0 while none runs.",
    ),
    # A node: events of stages.
    _counter(
        "node",
        "stages_total",
        "node stage action",
        "stages",
        "Stages that were computed, or found in the stage store (taken) or in the experiment (reused).",
    ),
    Metric(
        "proteinx_stage_seconds",
        "histogram",
        "node",
        ("node", "stage"),
        "seconds",
        "Seconds that a computed stage took.",
        STAGE_BUCKETS_S,
    ),
    _counter("node", "journal_events_total", "node event", "events", "Events of stages, by name."),
    _gauge(
        "node",
        "journal_lag_seconds",
        "node",
        "seconds",
        "Age of the newest event of a stage when it was counted.",
    ),
    # A node: its health and its machine.
    _gauge("node", "part_up", "node part", "boolean", "1 while a part of the node lives."),
    _gauge(
        "node", "heartbeat_timestamp_seconds", "node", "seconds", "Time of the last heartbeat that was sent."
    ),
    _gauge("node", "redis_up", "node", "boolean", "1 while Redis answers the node."),
    _gauge("node", "store_up", "node", "boolean", "1 while the shared store answers; absent without one."),
    _gauge(
        "node", "outgoing_waiting", "node", "things", "What waits to be sent to the shared store; absent so."
    ),
    _gauge("node", "cpu_ratio", "node", "ratio", "Load of all cores."),
    _gauge("node", "memory_used_bytes", "node", "bytes", "Memory in use."),
    _gauge("node", "memory_total_bytes", "node", "bytes", "Memory of the machine."),
    _gauge("node", "disk_free_bytes", "node", "bytes", "Free space where WORKDIR is."),
    _gauge("node", "disk_total_bytes", "node", "bytes", "Size of that file system."),
    _gauge("node", "gpu_utilization_ratio", "node gpu", "ratio", "Load of a GPU."),
    _gauge("node", "gpu_memory_used_bytes", "node gpu", "bytes", "Memory in use on a GPU."),
    _gauge("node", "gpu_memory_total_bytes", "node gpu", "bytes", "Memory of a GPU."),
)
WHO: dict[Side, str] = {"master": "the Master", "node": "a node", "both": "both"}
METRICS: dict[str, Metric] = {metric.name: metric for metric in TABLE}


def series_of(metric: Metric) -> tuple[str, ...]:
    """Names of the series that Prometheus stores of a metric."""
    if metric.kind != "histogram":
        return (metric.name,)
    return tuple(f"{metric.name}{ending}" for ending in ("_bucket", "_sum", "_count"))


def markdown() -> str:
    """The table as the page on operations has it."""
    lines = ["| metric | labels | unit | |", "|---|---|---|---|"]
    for metric in TABLE:
        labels = " ".join(f"`{label}`" for label in metric.labels)
        text = f"{metric.kind} of {WHO[metric.side]}. {metric.help}"
        lines.append(f"| `{metric.name}` | {labels} | {metric.unit} | {text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":  # writes the table for docs/observation.md
    import sys

    sys.stdout.write(markdown())
