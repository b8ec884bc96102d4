"""Parallel coordinates: one axis for each flag that differs and for the score, one line for each experiment."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from proteinx_pipelines.pages.figures.curve import category
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.figures.scales import tick_text
from proteinx_pipelines.pages.numbers import number, plain

HEIGHT, _TOP, _BOTTOM, _STEP, _EDGE = 300, 40, 250, 200, 130
_MOST_AXES = 8


def parallel(
    names: Sequence[str], flags: Mapping[str, Sequence[Any]], metric: str, values: Sequence[float | None]
) -> Figure | None:
    """A picture of how flags and score go together.

    Args:
        names: of N experiments.
        flags: dotted flag -> its value in each of them; flags that differ.
        metric: name of the score, the last axis.
        values: its N values; None where an experiment has none.

    Returns:
        None where fewer than two experiments or no flags can be drawn.
    """
    if len(names) < 2 or not flags:
        return None
    chosen = dict(list(flags.items())[: _MOST_AXES - 1])
    axes: list[tuple[str, Sequence[Any]]] = [*chosen.items(), (metric, values)]
    places = [_EDGE + _STEP * k for k in range(len(axes))]
    heights = [_heights(column) for _, column in axes]
    body = ""
    for k, name in enumerate(names):
        points = [(at, found[k]) for at, (found, _) in zip(places, heights, strict=True)]
        body += _line(name, points, category(k), values[k])
    for place, ((title, _), at, (_, ticks)) in enumerate(zip(axes, places, heights, strict=True)):
        body += _axis(title, at, ticks, is_last=place == len(axes) - 1)
    shown = [f"{name} {number(value)}" for name, value in zip(names, values, strict=True)]
    return Figure(
        "parallel", "static", "Flags and score together",
        f"{len(names)} experiments; each line is one, and crosses every axis at its value.",
        f"{metric} of the experiments: {', '.join(shown[:8])}",
        places[-1] + _EDGE, HEIGHT, body, whole=True,
    )  # fmt: skip


def _heights(column: Sequence[Any]) -> tuple[list[float | None], list[tuple[str, float]]]:
    """Height of each value on its axis, and the axis's ticks: numbers on a scale, anything else in steps."""
    numeric = [value for value in column if isinstance(value, int | float) and not isinstance(value, bool)]
    if numeric and len(numeric) == len([value for value in column if value is not None]):
        low, high = min(numeric), max(numeric)
        span = (high - low) or 1.0
        at = [
            None if value is None else _BOTTOM - (value - low) / span * (_BOTTOM - _TOP) for value in column
        ]
        return at, [
            (tick_text(float(f"{value:.4g}")), _BOTTOM - (value - low) / span * (_BOTTOM - _TOP))
            for value in {low, high}
        ]
    texts = sorted({plain(value) for value in column})
    step = (_BOTTOM - _TOP) / max(1, len(texts) - 1)
    ticks = [(text, _BOTTOM - k * step) for k, text in enumerate(texts)]
    by_text = dict(ticks)
    return [by_text[plain(value)] for value in column], ticks


def _axis(title: str, at: float, ticks: Sequence[tuple[str, float]], *, is_last: bool) -> str:
    found = f'<path class="axis" d="M{at:g} {_TOP}V{_BOTTOM}"/>'
    found += f'<text x="{at:g}" y="{_TOP - 16}" text-anchor="middle">{escape(title)}</text>'
    x, anchor = (at + 6, "start") if is_last else (at - 6, "end")
    for text, height in ticks:
        short = text if len(text) <= 22 else f"{text[:21]}…"
        found += (
            f'<text class="halo" x="{x:g}" y="{height + 4:.1f}" text-anchor="{anchor}">{escape(short)}</text>'
        )
    return found


def _line(name: str, points: Sequence[tuple[float, float | None]], colour: str, value: float | None) -> str:
    known = [(at, height) for at, height in points if height is not None]
    path = "".join(f"{'L' if k else 'M'}{at:g} {height:.1f}" for k, (at, height) in enumerate(known))
    label = f"{name}: {number(value)}"
    return (
        f'<path class="thread" fill="none" stroke="{colour}" stroke-width="2" stroke-opacity="0.8" d="{path}">'
        f"<title>{escape(label)}</title></path>"
    )
