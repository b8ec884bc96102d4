"""The report's pictures, as PNG bytes that depend on the numbers alone (no date, no software name).

Drawn on matplotlib's Agg canvas without pyplot: there is no global state, and no display is needed.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from proteinx_pipelines.stages.evaluate.learning_curve import Curve

COLOURS = {"train": "#8a94a6", "val": "#e08a1e", "test": "#1f5fbf"}
DENSE_ABOVE = 3000
"""Points beyond which the scatter shows density instead of dots."""
INK, _GRID = "#1c2430", "#e3e7ee"
_DPI = 180


def draw_scatter(target: np.ndarray, prediction: np.ndarray, *, note: str, in_target_units: bool) -> bytes:
    """Measured against predicted test targets; the dashed line is where both are equal.

    Args:
        target: float64 [P].
        prediction: float64 [P], finite.
        note: one line under the title.
        in_target_units: false leaves the line of equality out.
    """
    figure, axes = figure_of(4.8, 4.2)
    if len(target) > DENSE_ABOVE:
        from matplotlib.colors import LogNorm

        cells = axes.hexbin(target, prediction, gridsize=60, mincnt=1, cmap="Blues", norm=LogNorm(), lw=0.1)
        figure.colorbar(cells, ax=axes, label="variants per cell", shrink=0.8).outline.set_visible(False)
    else:
        axes.scatter(target, prediction, s=14, alpha=0.55, color=COLOURS["test"], linewidths=0)
    if in_target_units and len(target):
        ends = [min(target.min(), prediction.min()), max(target.max(), prediction.max())]
        axes.plot(ends, ends, ls="--", lw=1, color=INK, alpha=0.6, zorder=0.5)
    axes.set_xlabel("measured")
    axes.set_ylabel("predicted" if in_target_units else "predicted (normal score of rank)")
    axes.set_title(note, fontsize=10, color=INK, loc="left")
    return png_of(figure)


def draw_histogram(edges: np.ndarray, counts: Mapping[str, np.ndarray]) -> bytes:
    """Distribution of measured targets in each part, each scaled to area 1.

    Args:
        edges: float64 [b + 1].
        counts: part -> int64 [b]; parts without rows are left out.
    """
    figure, axes = figure_of(4.8, 4.2)
    for part, heights in counts.items():
        total = heights.sum()
        if total:
            density = heights / total / np.diff(edges)
            label = f"{part} ({total:,})"
            axes.stairs(density, edges, fill=True, alpha=0.28, color=COLOURS.get(part, INK))
            axes.stairs(density, edges, lw=1.4, color=COLOURS.get(part, INK), label=label)
    axes.set_xlabel("measured target")
    axes.set_ylabel("density")
    axes.legend(frameon=False, fontsize=9)
    return png_of(figure)


def draw_learning_curve(curve: Curve) -> bytes | None:
    """Every metric by epoch, one panel for each (`loss`, `spearman`, ...), one line per part and fold.

    Returns:
        None when there is no epoch to show.
    """
    panels: dict[str, dict[str, Any]] = {}
    for name, folds in curve.items():
        part, _, metric = name.partition("/")
        if part in COLOURS:
            panels.setdefault(metric, {})[part] = folds
    if not panels:
        return None
    figure, axes = figure_of(4.8 * len(panels), 3.2, panels=len(panels))
    for axis, (metric, parts) in zip(np.atleast_1d(axes), sorted(panels.items()), strict=True):
        for part, folds in sorted(parts.items()):
            for position, points in enumerate(folds.values()):
                epochs, values = zip(*points, strict=True)
                label = part if position == 0 else None
                width = 1.6 if len(folds) == 1 else 0.9
                axis.plot(epochs, values, lw=width, color=COLOURS[part], label=label, alpha=0.9)
        axis.set_xlabel("epoch")
        axis.set_ylabel(metric)
        axis.legend(frameon=False, fontsize=9)
    return png_of(figure)


def draw_calibration(coverage: Sequence[Mapping[str, float]]) -> bytes:
    """Share of measured values inside each central interval; the dashed line is a calibrated model."""
    figure, axes = figure_of(4.8, 4.2)
    levels = [entry["level"] for entry in coverage]
    axes.plot([0, 1], [0, 1], ls="--", lw=1, color=INK, alpha=0.6)
    axes.plot(
        levels, [entry["inside"] for entry in coverage], marker="o", ms=4, lw=1.4, color=COLOURS["test"]
    )
    axes.set_xlabel("level of the predicted interval")
    axes.set_ylabel("share of measured values inside")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return png_of(figure)


def draw_size_curve(entries: Sequence[Mapping[str, Any]], name: str, whole: tuple[float, float]) -> bytes:
    """One metric against the number of training rows: each draw a dot, their mean a line, all rows at the end.

    The metric is defined (not None) in at least one entry.
    """
    figure, axes = figure_of(4.8, 4.2)
    points = [(entry["n_train"], entry[name]) for entry in entries if entry[name] is not None]
    axes.scatter(*zip(*points, strict=True), s=14, color=COLOURS["test"], alpha=0.5, linewidths=0)
    sizes = sorted({size for size, _ in points})
    means = [float(np.mean([value for size, value in points if size == each])) for each in sizes]
    axes.plot([*sizes, whole[0]], [*means, whole[1]], lw=1.4, marker="o", ms=4, color=COLOURS["test"])
    axes.set_xscale("log")
    axes.set_xticks([*sizes, whole[0]], [f"{size:,.0f}" for size in (*sizes, whole[0])])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training variants (mean over folds)")
    axes.set_ylabel(f"test {name.capitalize() if name in ('spearman', 'pearson') else name}")
    return png_of(figure)


def figure_of(
    width: float,
    height: float,
    panels: int = 1,
    rows: int = 1,
    *,
    layout: Literal["constrained"] | None = "constrained",
) -> tuple[Any, Any]:
    """A figure in the report's style (inches), and its axes: one, or an array of `rows` by `panels`.

    `layout` None leaves the places of the axes to the caller: with many axes, matplotlib takes a second for them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    axes = figure.subplots(rows, panels)
    for axis in np.atleast_1d(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=_GRID, lw=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=9, colors=INK)
    return figure, axes


def png_of(figure: Any) -> bytes:
    """The figure's bytes, which depend on what it shows alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _read_literally(figure)
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _read_literally(figure: Any) -> None:
    """Take `$` in words for a dollar: the name of a source is no formula. Labels of ticks may be formulas."""
    from matplotlib.axis import Tick
    from matplotlib.text import Text

    of_ticks = {id(text) for tick in figure.findobj(Tick) for text in tick.findobj(Text)}
    for text in figure.findobj(Text):
        if id(text) not in of_ticks:
            text.set_parse_math(False)
