"""Line plots: learning curves, calibration, learning by size, distributions as outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from proteinx_pipelines.pages.figures.colours import CATEGORIES
from proteinx_pipelines.pages.figures.figure import Figure, packed
from proteinx_pipelines.pages.figures.scales import Scale, axes, dots, padded, polyline

WIDTH, HEIGHT = 470, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 456, 32, 284


@dataclass(frozen=True)
class Line:
    """One line of a picture."""

    name: str
    """Legend entry; lines of one name share an entry and a colour."""
    x: np.ndarray
    """float64 [n], ascending."""
    y: np.ndarray
    """float64 [n]; NaN where a value is missing."""
    colour: str
    thin: bool = False
    dots: bool = False
    """Draw points at the values."""
    joined: bool = True
    """Draw a line between the values."""
    steps: bool = False
    """Draw an outline: `x` are n + 1 edges, `y` the n heights between them."""
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    """float64 [n], a band around the line."""


def curve(
    name: str,
    lines: Sequence[Line],
    *,
    title: str,
    caption: str,
    alternative: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    logarithmic: bool = False,
    marked: Mapping[str, float] | None = None,
) -> Figure:
    """A picture of lines with a legend.

    Args:
        name: stem of its files.
        lines: what is drawn, first at the bottom.
        title: a phrase.
        caption: a sentence.
        alternative: the numbers that matter.
        x_label: name of the horizontal axis, with its unit.
        y_label: name of the vertical axis, with its unit.
        x_range: that of the data when None.
        y_range: that of the data when None.
        diagonal: draw the line of equality.
        logarithmic: the horizontal axis; its ticks stand at the values.
        marked: vertical lines by their text, such as the epoch that is kept.
    """
    low, high = x_range or padded(
        [line.x for line in lines], 0 if any(line.steps for line in lines) else 0.02
    )
    if logarithmic:
        ends = np.concatenate([line.x for line in lines])
        low, high = float(ends.min()) * 0.9, float(ends.max()) * 1.1
    x = Scale(low, high, _LEFT, _RIGHT, logarithmic=logarithmic)
    heights = [values for line in lines for values in (line.y, line.low, line.high) if values is not None]
    y = Scale(*(y_range or padded(heights)), _BOTTOM, _TOP)
    ticks = sorted({float(v) for line in lines for v in line.x}) if logarithmic else None
    guide = f'<path class="guide" d="M{x.start:g} {y.start:g}L{x.end:g} {y.end:g}"/>' if diagonal else ""
    body = axes(x, y, x_label, y_label, x_ticks=_thinned(ticks, x)) + guide
    body += "".join(_marked(text, value, x) for text, value in (marked or {}).items())
    body += "".join(_drawn(line, x, y) for line in lines) + _legend(lines)
    payload: dict[str, Any] = {
        "x": {**x.document(x_label), "log": logarithmic}, "y": y.document(y_label),
        "lines": [
            {"name": line.name, "x": packed(line.x), "y": packed(line.y), "steps": line.steps, "colour": line.colour}
            for line in lines
        ],
    }  # fmt: skip
    return Figure(name, "curve", title, caption, alternative, WIDTH, HEIGHT, body, payload)


def _thinned(ticks: list[float] | None, x: Scale) -> list[float] | None:
    """Ticks at least 44 units apart; the last one is always kept."""
    if ticks is None:
        return None
    kept: list[float] = []
    for value in reversed(ticks):
        if not kept or float(x(kept[-1])) - float(x(value)) >= 44:
            kept.append(value)
    return kept[::-1]


def _drawn(line: Line, x: Scale, y: Scale) -> str:
    finite = np.isfinite(line.y)
    found = ""
    if line.steps:
        edges, heights = np.repeat(line.x, 2)[1:-1], np.repeat(line.y, 2)
        return f'<path fill="none" stroke="{line.colour}" stroke-width="1.8" d="{polyline(x(edges), y(heights))}"/>'
    at, value = x(line.x[finite]), y(line.y[finite])
    if not len(at):
        return ""
    if line.low is not None and line.high is not None:
        edge = (
            np.concatenate([at, at[::-1]]),
            np.concatenate([y(line.low[finite]), y(line.high[finite])[::-1]]),
        )
        found += f'<path fill="{line.colour}" fill-opacity="0.16" d="{polyline(*edge)}Z"/>'
    if line.joined:
        width = 1 if line.thin else 1.8
        found += (
            f'<path fill="none" stroke="{line.colour}" stroke-width="{width}" d="{polyline(at, value)}"/>'
        )
    if line.dots:
        size = 4 if line.thin else 7
        found += (
            f'<path fill="none" stroke="{line.colour}" stroke-width="{size}" stroke-linecap="round" '
            f'd="{dots(at, value)}"/>'
        )
    return found


def _marked(text: str, value: float, x: Scale) -> str:
    at = float(x(value))
    return (
        f'<path class="guide" d="M{at:.1f} {_BOTTOM}V{_TOP}"/>'
        f'<text class="soft" x="{at - 4:.1f}" y="{_TOP + 11}" text-anchor="end">{escape(text)}</text>'
    )


def _legend(lines: Sequence[Line]) -> str:
    shown = dict.fromkeys((line.name, line.colour) for line in lines if line.name)
    if len(shown) < 2:
        return ""
    # Wide characters count as two. A legend that is too long for one row takes two, closer to each other.
    widths = [40 + 6.6 * sum(2 if ord(letter) > 0x2E80 else 1 for letter in name) for name, _ in shown]
    rows = 1 if _LEFT + sum(widths) <= WIDTH else 2
    found, at, y = "", float(_LEFT), 14 if rows == 1 else 8
    for (name, colour), width in zip(shown, widths, strict=True):
        if rows == 2 and y == 8 and at + width > WIDTH:
            at, y = float(_LEFT), 23
        found += f'<path d="M{at:.0f} {y}h16" stroke="{colour}" stroke-width="3"/>'
        found += f'<text x="{at + 21:.0f}" y="{y + 4}">{escape(name)}</text>'
        at += width
    return found


def category(position: int) -> str:
    """Colour of the line at an index; colours repeat after seven."""
    return CATEGORIES[position % len(CATEGORIES)]
