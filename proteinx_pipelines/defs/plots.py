"""Small plots for the Dagster UI, as Markdown images that carry their bytes.

Drawn as SVG by hand-sized code: matplotlib takes a second to import and a tenth of a second a plot, and a queue
of small experiments would feel it. The report's own pictures are made smaller: all of them together take 80 kB of
Dagster's event log.
"""

import base64
import io
from pathlib import Path

import numpy as np

from proteinx_pipelines.domain.histograms import histogram as bars_of
from proteinx_pipelines.experiment_dir.json_lines import read_json_lines

WIDTH, HEIGHT, MARGIN = 420, 260, 34
BINS = 40
MOST_POINTS = 1_500
"""Points drawn in a scatter; more are thinned evenly."""


def histogram(values: np.ndarray, name: str) -> str:
    """Bars of `values` (float64 [n])."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return _image(name, "")
    counts, edges = bars_of(values, BINS)
    top = max(1, int(counts.max()))
    x = _scale(edges, edges[0], edges[-1], MARGIN, WIDTH - 8)
    bars = "".join(
        f'<rect x="{x[i]:.1f}" width="{max(0.5, x[i + 1] - x[i] - 0.6):.1f}" '
        f'y="{HEIGHT - MARGIN - count / top * (HEIGHT - 2 * MARGIN):.1f}" '
        f'height="{count / top * (HEIGHT - 2 * MARGIN):.1f}" fill="#3b6ea5"/>'
        for i, count in enumerate(counts)
    )
    return _image(name, bars + _axes((edges[0], edges[-1]), (0, top), name, "rows"))


def scatter(measured: np.ndarray, predicted: np.ndarray) -> str:
    """Measured (x) against predicted (y), float64 [n] each."""
    if len(measured) == 0:
        return _image("measured versus predicted", "")
    step = max(1, len(measured) // MOST_POINTS)
    x, y = np.asarray(measured, dtype=float)[::step], np.asarray(predicted, dtype=float)[::step]
    xs = _scale(x, x.min(), x.max(), MARGIN, WIDTH - 8)
    ys = _scale(y, y.min(), y.max(), HEIGHT - MARGIN, MARGIN)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="1.6"/>' for a, b in zip(xs, ys, strict=True))
    axes = _axes((x.min(), x.max()), (y.min(), y.max()), "measured", "predicted")
    return _image("measured versus predicted", f'<g fill="#3b6ea5" fill-opacity="0.45">{dots}</g>{axes}')


def loss_curve(metrics_path: Path) -> str | None:
    """Training and validation loss by epoch of fold 0, in the newest generation that trained; None without any."""
    curves = _curves(metrics_path)
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    epochs, losses = (
        np.array([p[0] for p in points], dtype=float),
        np.array([p[1] for p in points], dtype=float),
    )
    body = ""
    for (name, curve), colour in zip(sorted(curves.items()), ("#3b6ea5", "#c2571a"), strict=False):
        xs = _scale(
            np.array([p[0] for p in curve], dtype=float), epochs.min(), epochs.max(), MARGIN, WIDTH - 8
        )
        ys = _scale(
            np.array([p[1] for p in curve], dtype=float), losses.min(), losses.max(), HEIGHT - MARGIN, MARGIN
        )
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs, ys, strict=True))
        body += f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        body += f'<text x="{xs[-1] - 60:.0f}" y="{ys[-1] - 5:.0f}" fill="{colour}">{name}</text>'
    return _image(
        "loss curve",
        body + _axes((epochs.min(), epochs.max()), (losses.min(), losses.max()), "epoch", "loss"),
    )


def _curves(metrics_path: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, dict[int, float]] = {}
    newest = 0
    for record in read_json_lines(metrics_path):
        epoch, value, generation = record.get("epoch"), record.get("value"), record.get("generation", 1)
        is_loss = record.get("name") in ("train/loss", "val/loss") and not record.get("fold")
        if not is_loss or epoch is None or value is None:
            continue
        if generation > newest:  # another training: the epochs that it did not reach are not its own
            found, newest = {}, generation
        found.setdefault(record["name"], {})[epoch] = value
    return {name: sorted(curve.items()) for name, curve in found.items()}


def _scale(values: np.ndarray, low: float, high: float, start: float, end: float) -> np.ndarray:
    span = high - low or 1.0
    return np.asarray(start + (values - low) / span * (end - start))


def _axes(x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str) -> str:
    bottom, right = HEIGHT - MARGIN, WIDTH - 8
    return (
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#888"/>'
        f'<text x="{MARGIN}" y="{HEIGHT - 20}">{x[0]:.3g}</text>'
        f'<text x="{right}" y="{HEIGHT - 20}" text-anchor="end">{x[1]:.3g}</text>'
        f'<text x="{(MARGIN + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{x_name}</text>'
        f'<text x="4" y="{bottom}">{y[0]:.3g}</text><text x="4" y="{MARGIN}">{y[1]:.3g}</text>'
        f'<text x="4" y="14">{y_name}</text>'
    )


def picture(name: str, png: bytes) -> str:
    """A picture of the report at half its size, in 256 colours."""
    from PIL import Image  # deferred: only the step worker draws

    content = io.BytesIO()
    small = Image.open(io.BytesIO(png)).convert("RGB").reduce(2)
    # Of the methods, this one keeps pale grid lines.
    few = small.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(content, "PNG")
    return _markdown(name, "image/png", content.getvalue())


def _image(name: str, body: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>{body}</svg>'
    )
    return _markdown(name, "image/svg+xml", svg.encode())


def _markdown(name: str, kind: str, content: bytes) -> str:
    return f"![{name}](data:{kind};base64,{base64.b64encode(content).decode()})"
