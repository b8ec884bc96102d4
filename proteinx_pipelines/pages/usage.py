"""The usage report as one page."""

from collections.abc import Mapping, Sequence
from typing import Any

from proteinx_pipelines.pages.render import render_page
from proteinx_pipelines.pages.table import Cell, Table

HEADER = ("ended", "succeeded", "failed", "cancelled", "success", "run", "waited", "CPU s", "kJ")


def usage_page(report: Mapping[str, Any], place: str) -> str:
    """Render the page.

    Args:
        report: document of a usage report (`services.usage.UsageReport.document`).
        place: whose report it is: a node's name, or `Master`.
    """
    period = f"{report['since'] or 'The beginning'} to {report['until']}"
    total = report["total"]
    rate = "" if total["success_rate"] is None else f" {total['success_rate']:.1%} of those judged succeeded."
    tables = [
        _table("nodes", "By node", ("node",), report["by_node"]),
        _table("models", "By model", ("model",), report["by_model"]),
        _table("both", "By node and model", ("node", "model"), report["by_node_and_model"]),
        Table(
            "reasons", "Reasons of failure", ("state", "reason", "number", "nodes", "models"),
            [[each["state"], each["reason"], each["number"], ", ".join(each["nodes"]), ", ".join(each["models"])]
             for each in report["reasons"]],
            "Reasons of failure and refusal",
        ),
    ]  # fmt: skip
    known = f"Energy is known of {total['joules_known']} of {total['ended']}; sums leave the others out."
    return render_page(
        "usage.html",
        title=f"Usage of {place}",
        lead=f"{period}: {total['ended']} ended.{rate}",
        tables=[table for table in tables if table.rows],
        note=known,
    )


def _table(name: str, label: str, keys: Sequence[str], shares: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[*(share[key] or "-" for key in keys), *_cells(share)] for share in shares]
    return Table(name, label, (*keys, *HEADER), rows, label)


def _cells(share: Mapping[str, Any]) -> list[Cell]:
    rate, joules = share["success_rate"], share["joules"]
    return [
        share["ended"], share["succeeded"], share["failed"], share["cancelled"],
        None if rate is None else f"{rate:.1%}", _hours(share["seconds"]), _hours(share["waited_s"]),
        round(share["cpu_seconds"]), None if joules is None else round(joules / 1000, 3),
    ]  # fmt: skip


def _hours(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
