"""Measured against predicted: interactive dots, or a density where dots would cover one another."""

from collections.abc import Sequence

import numpy as np

from proteinx_pipelines.pages.figures.colours import PARTS, SEQUENTIAL, coloured, image, png_address
from proteinx_pipelines.pages.figures.figure import Figure, packed
from proteinx_pipelines.pages.figures.scales import Scale, axes, dots, padded

DENSE_ABOVE = 5_000
"""Number of points above which a density is shown."""
CELLS = 96
"""Number of density cells along each axis."""
WIDTH, HEIGHT = 470, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 420, 50, 412
_BINS = 48


def scatter(
    measured: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str],
    *,
    deviation: np.ndarray | None = None,
    wild_type: float | None = None,
    same_unit: bool = True,
    caption: str,
    alternative: str,
    name: str = "scatter",
    title: str = "Measured and predicted",
    x_label: str = "measured",
    y_label: str = "predicted",
) -> Figure:
    """Draw one dot per variant.

    Args:
        measured: float64 [P], finite.
        predicted: float64 [P], finite.
        labels: P names of variants, as the reader writes them.
        deviation: float64 [P], standard deviation of each prediction; None where the model has none.
        wild_type: measured value of the wild type, marked on the axes; None where it was not measured.
        same_unit: both axes have one scale, and the line of equality is drawn.
        caption: a sentence with the number of variants.
        alternative: the numbers that matter.
        name: stem of its files.
        title: a phrase.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
    """
    ranges = (measured, predicted) if same_unit else (measured,)
    x = Scale(*padded(ranges), _LEFT, _RIGHT)
    y = Scale(x.low, x.high, _BOTTOM, _TOP) if same_unit else Scale(*padded([predicted]), _BOTTOM, _TOP)
    dense = len(measured) > DENSE_ABOVE
    guides = _guides(x, y, wild_type, same_unit=same_unit)
    payload: dict[str, object] = {"x": x.document(x_label), "y": y.document(y_label)}
    if dense:
        counts = np.histogram2d(measured, predicted, bins=CELLS, range=[[x.low, x.high], [y.low, y.high]])[
            0
        ].T[::-1]  # [CELLS, CELLS], the highest prediction first, as an image is stored
        marks = _density(counts)
        payload |= {"counts": packed(counts), "cells": CELLS}
    else:
        marks = (
            f'<path data-marks="" d="{dots(x(measured), y(predicted))}" fill="none" stroke="{PARTS["test"]}" '
            f'stroke-opacity="{_opacity(len(measured))}" stroke-width="5" stroke-linecap="round"/>'
        )
        payload |= {"measured": packed(measured), "predicted": packed(predicted), "labels": list(labels)}
        if deviation is not None:
            payload["deviation"] = packed(deviation)
    return Figure(
        name=name,
        kind="scatter",
        title=title,
        caption=caption
        + (f" Density: cells of {CELLS} by {CELLS}, darker is more variants." if dense else ""),
        alternative=alternative,
        width=WIDTH,
        height=HEIGHT,
        drawing=axes(x, y, x_label, y_label) + _margins(measured, predicted, x, y) + guides + marks,
        payload=payload,
    )


def _opacity(n: int) -> float:
    return 0.75 if n < 200 else 0.5 if n < 1500 else 0.32


def _guides(x: Scale, y: Scale, wild_type: float | None, *, same_unit: bool) -> str:
    """Line of equality and the lines of the wild type."""
    found = ""
    if same_unit:
        found += f'<path class="guide" d="M{x.start:g} {y.start:g}L{x.end:g} {y.end:g}"/>'
    if wild_type is not None and x.low <= wild_type <= x.high:
        at = float(x(wild_type))
        found += f'<path class="guide" d="M{at:.1f} {y.start:g}V{y.end:g}"/>'
        found += f'<text class="soft" x="{at + 4:.1f}" y="{y.end + 11:g}">wild type</text>'
    return f'<g data-guides="">{found}</g>'


def _density(counts: np.ndarray) -> str:
    with np.errstate(divide="ignore"):
        shown = np.where(counts > 0, np.log10(counts), np.nan)
    most = max(float(np.nanmax(shown)), 1.0)
    pixels = coloured(shown, 0.0, most / 2, most, SEQUENTIAL)
    return image(png_address(pixels), _LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP)


def _margins(measured: np.ndarray, predicted: np.ndarray, x: Scale, y: Scale) -> str:
    """Histograms of both axes along the edges."""
    above, _ = np.histogram(measured, bins=_BINS, range=(x.low, x.high))
    beside, _ = np.histogram(predicted, bins=_BINS, range=(y.low, y.high))
    step_x, step_y = (_RIGHT - _LEFT) / _BINS, (_BOTTOM - _TOP) / _BINS
    top = above / max(1, above.max()) * 34
    right = beside / max(1, beside.max()) * 40
    bars = "".join(
        f"M{_LEFT + k * step_x:.1f} {_TOP - 6}v{-h:.1f}h{step_x:.1f}v{h:.1f}z" for k, h in enumerate(top) if h
    )
    bars += "".join(
        f"M{_RIGHT + 6} {_BOTTOM - k * step_y:.1f}h{w:.1f}v{-step_y:.1f}h{-w:.1f}z"
        for k, w in enumerate(right)
        if w
    )
    return f'<path data-margins="" d="{bars}" fill="{PARTS["train"]}" fill-opacity="0.45"/>'
