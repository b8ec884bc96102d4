"""One figure from the results of a run: how costs grow with variants, experiments and workers.

Reads what `run.py` collected, measures nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

STYLE: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "proteinx", "svg.fonttype": "none", "font.size": 8, "axes.spines.top": False,
    "axes.spines.right": False, "lines.markersize": 3, "lines.marker": "o",
}  # fmt: skip
_MINUTE = 60


def draw(document: dict[str, Any], target: Path) -> None:
    """Write the figure as SVG; a panel whose benchmark has no results says so."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        axes = figure.subplots(1, 3)
        for panel, (name, plot) in zip(axes, PANELS.items(), strict=True):
            growth = _growth(document, name)
            if growth is None:
                panel.text(0.5, 0.5, f"{name}: not measured", ha="center", transform=panel.transAxes)
                panel.set_axis_off()
            else:
                plot(panel, growth)
                panel.grid(alpha=0.3)
        figure.savefig(target, format="svg", metadata={"Date": None})


def _growth(document: dict[str, Any], name: str) -> Any:
    figures = document["benchmarks"].get(name, {}).get("figures", [])
    return next((figure["facts"]["growth"] for figure in figures if "growth" in figure["facts"]), None)


def _variants(panel: Axes, growth: list[dict[str, float]]) -> None:
    stages = [name for name in growth[0] if name not in ("variants", "whole")]
    for name in ("whole", *stages):
        style = {"color": "black"} if name == "whole" else {"linewidth": 0.8}
        panel.plot([p["variants"] for p in growth], [max(p[name], 1e-3) for p in growth], label=name, **style)
    panel.set(
        xscale="log",
        yscale="log",
        xlabel="variants",
        ylabel="seconds",
        title="an experiment (one-hot, ridge)",
    )
    panel.legend(fontsize=6, frameon=False)


def _experiments(panel: Axes, growth: list[dict[str, float]]) -> None:
    labels = {
        "list": "proteinx list", "partitions": "partition page", "runs": "page of runs", "experiment": "an experiment"
    }  # fmt: skip
    for name, label in labels.items():
        panel.plot([p["finished"] for p in growth], [p[name] for p in growth], label=label)
    panel.set(
        xscale="log",
        xlabel="finished experiments",
        ylabel="seconds",
        ylim=(0, None),
        title="a node's history",
    )
    panel.legend(fontsize=6, frameon=False)


def _workers(panel: Axes, growth: dict[str, dict[str, float]]) -> None:
    nodes = [int(n) for n in growth]
    alone = growth[str(nodes[0])]["per_minute"] / nodes[0]
    panel.plot(nodes, [one["per_minute"] for one in growth.values()], label="simulated")
    panel.plot(
        nodes, [alone * n for n in nodes], label="one node's times n", marker="", linestyle=":", color="gray"
    )
    panel.set(
        xscale="log",
        yscale="log",
        xlabel="nodes",
        ylabel="experiments a minute",
        title="a fleet (simulation)",
    )
    panel.legend(fontsize=6, frameon=False)


PANELS: dict[str, Callable[[Axes, Any], None]] = {  # what a script writes under its name
    "growth": _variants,
    "scale": _experiments,
    "fleet": _workers,
}
