"""Writes `proteinx.json`, the dashboard of a Master and its nodes.

    python deploy/grafana/make_dashboard.py

Every expression is of metrics in `proteinx_pipelines.observation.table`; a test holds that, and that the file is what
this script makes.
"""

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FILE = Path(__file__).with_name("proteinx.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HEIGHT = 8, 8
"""Of a panel, on a grid of 24 columns."""

Panel = tuple[str, str, dict[str, str]]
"""Title, unit, and legend -> expression."""
ROWS: dict[str, tuple[Panel, ...]] = {
    "Queue": (
        ("Jobs by state", "short", {"{{state}}": "proteinx_jobs{state=~'HELD|WAITING|ASSIGNED|RUNNING'}"}),
        (
            "Age of the oldest waiting job",
            "s",
            {"waiting": "proteinx_queue_oldest_seconds", "silent": "proteinx_job_unchanged_seconds"},
        ),
        (
            "Jobs ended an hour",
            "short",
            {"{{state}}": "sum by (state) (increase(proteinx_jobs_ended_total[1h]))"},
        ),
        (
            "Reasons of failure, last day",
            "short",
            {
                "{{reason}}": "sum by (reason) (increase(proteinx_jobs_ended_total{state=~'FAILED|REJECTED'}[1d]))"
            },
        ),
        (
            "Share of failures",
            "percentunit",
            {
                "failed": "sum(increase(proteinx_jobs_ended_total{state='FAILED'}[1h]))"
                " / sum(increase(proteinx_jobs_ended_total{state=~'SUCCEEDED|FAILED'}[1h]))"
            },
        ),
        (
            "Age of events",
            "s",
            {
                "from nodes": "proteinx_event_lag_seconds",
                "journal of {{node}}": "proteinx_journal_lag_seconds",
            },
        ),
    ),
    "Nodes": (
        ("Silence of nodes", "s", {"{{node}}": "proteinx_node_silent_seconds"}),
        (
            "Load",
            "percentunit",
            {
                "{{node}} CPU": "proteinx_node_cpu_ratio",
                "{{node}} GPU {{gpu}}": "proteinx_node_gpu_utilization_ratio",
            },
        ),
        (
            "Free disk",
            "percentunit",
            {"{{node}}": "proteinx_node_disk_free_bytes / proteinx_node_disk_total_bytes"},
        ),
        (
            "Memory in use",
            "percentunit",
            {
                "{{node}}": "proteinx_node_memory_used_bytes / proteinx_node_memory_total_bytes",
                "{{node}} GPU {{gpu}}": "proteinx_node_gpu_memory_used_bytes / proteinx_node_gpu_memory_total_bytes",
            },
        ),
        (
            "Waiting on nodes",
            "short",
            {
                "{{node}} experiments": "proteinx_experiments_waiting",
                "{{node}} messages": "proteinx_list_waiting",
                "{{node}} results": "proteinx_results_waiting",
            },
        ),
        ("Time without progress", "s", {"{{node}}": "proteinx_progress_age_seconds"}),
    ),
    "Stages": (
        (
            "Seconds of a computed stage, 95th percentile",
            "s",
            {
                "{{stage}}": "histogram_quantile(0.95, sum by (stage, le) (rate(proteinx_stage_seconds_bucket[1h])))"
            },
        ),
        (
            "Stages found instead of computed",
            "percentunit",
            {
                "{{stage}}": "sum by (stage) (rate(proteinx_stages_total{action!='computed'}[1h]))"
                " / sum by (stage) (rate(proteinx_stages_total[1h]))"
            },
        ),
        (
            "Experiments ended an hour",
            "short",
            {"{{node}} {{state}}": "sum by (node, state) (increase(proteinx_experiments_ended_total[1h]))"},
        ),
    ),
    "Master": (
        (
            "Requests a second",
            "reqps",
            {"{{status}}": "sum by (status) (rate(proteinx_http_requests_total[5m]))"},
        ),
        (
            "Seconds of a request, 99th percentile",
            "s",
            {
                "{{route}}": "histogram_quantile(0.99, sum by (route, le) "
                "(rate(proteinx_http_request_seconds_bucket[5m])))"
            },
        ),
        ("Webhook deliveries", "short", {"{{state}}": "proteinx_deliveries{state!='sent'}"}),
    ),
}
STATS: tuple[Panel, ...] = (
    ("Waiting", "short", {"jobs": "proteinx_queue_waiting"}),
    ("Nodes", "short", {"living": "sum(proteinx_node_up)"}),
    ("Busy", "short", {"busy": "sum(proteinx_node_busy)"}),
    ("Paused", "short", {"paused": "proteinx_queue_paused"}),
)


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    panels = [*STATS, *(panel for row in ROWS.values() for panel in row)]
    return [expression for _, _, lines in panels for expression in lines.values()]


def dashboard_json() -> str:
    """The dashboard as Grafana imports it."""
    whole = (
        dashboard.Dashboard("ProteinX")
        .uid("proteinx")
        .tags(["proteinx"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for title, unit, lines in STATS:
        whole = whole.with_panel(_filled(stat.Panel(), title, unit, lines).span(24 // len(STATS)).height(4))
    for name, panels in ROWS.items():
        whole = whole.with_row(dashboard.Row(name))
        for title, unit, lines in panels:
            whole = whole.with_panel(
                _filled(timeseries.Panel(), title, unit, lines).span(WIDTH).height(HEIGHT).min(0)
            )
    return JSONEncoder(sort_keys=True, indent=1).encode(whole.build()) + "\n"


def _filled(
    panel: "stat.Panel | timeseries.Panel", title: str, unit: str, lines: dict[str, str]
) -> "stat.Panel | timeseries.Panel":
    panel = panel.title(title).unit(unit).datasource(SOURCE)
    for letter, (legend, expression) in zip("ABCDEF", lines.items(), strict=False):
        query = (
            prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE).ref_id(letter)
        )
        panel = panel.with_target(query)
    return panel


if __name__ == "__main__":
    FILE.write_text(dashboard_json(), encoding="utf-8")
