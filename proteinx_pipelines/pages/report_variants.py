"""Tables of the report page about single test variants and positions."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.pages.report_words import Report
from proteinx_pipelines.pages.table import Cell, Table, real


def variants(entries: list[Mapping[str, Any]], name: str, title: str) -> Table:
    """A list of variants with measured and predicted values."""
    several = len({entry["source"] for entry in entries}) > 1
    deviating = any(entry["deviation"] is not None for entry in entries)
    header = [
        "mutant",
        *(["source"] if several else []),
        "measured",
        "predicted",
        "difference",
        *(["deviation"] if deviating else []),
    ]
    rows = [_variant(entry, several=several, deviating=deviating) for entry in entries]
    return Table(name, title, header, rows)


def _variant(entry: Mapping[str, Any], *, several: bool, deviating: bool) -> list[Cell]:
    measured, predicted = float(entry["measured"]), float(entry["predicted"])
    names = [entry["mutant"], *([entry["source"]] if several else [])]
    return [
        *names,
        measured,
        predicted,
        predicted - measured,
        *([real(entry["deviation"])] if deviating else []),
    ]


def positions(report: Report) -> Table:
    """Means over the tested variants that change each position."""
    rows: list[list[Cell]] = [
        [
            f"{e['wild_type']}{e['position']}",
            e["n"],
            e["measured"],
            e["predicted"],
            e["error"],
        ]
        for e in report["extremes"]["positions"]
    ]
    header = ["position", "variants", "measured", "predicted", "absolute error"]
    return Table(
        "positions", "By position", header, rows, "Means over the test variants that change the position."
    )
