"""Linear scales, ticks and axes of static drawings. The script's `scale.js` does the same calculations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np


@dataclass(frozen=True)
class Scale:
    """Maps data between `low` and `high` to coordinates between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        """Coordinates, float64 of the shape of `values`."""
        low, high, found = self.low, self.high, np.asarray(values, dtype=np.float64)
        if self.logarithmic:
            low, high, found = math.log(low), math.log(high), np.log(found)
        return np.asarray(self.start + (found - low) / ((high - low) or 1.0) * (self.end - self.start))

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the range, at most `most`."""
        span = self.high - self.low
        if not math.isfinite(span) or span <= 0:
            return [self.low]
        rough = span / max(1, most - 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [round((first + k) * step, 12) for k in range(count)]

    def document(self, label: str) -> dict[str, object]:
        """Form for the script."""
        return {"label": label, "domain": [self.low, self.high], "range": [self.start, self.end]}


def padded(values: Sequence[np.ndarray], share: float = 0.04) -> tuple[float, float]:
    """Range of all finite values with a margin on both sides; [0, 1] when there is none."""
    finite = [found[np.isfinite(found)] for found in values]
    joined = np.concatenate(finite) if finite else np.zeros(0)
    if not len(joined):
        return 0.0, 1.0
    low, high = float(joined.min()), float(joined.max())
    room = (high - low) * share or max(1.0, abs(high)) * share
    return low - room, high + room


def tick_text(value: float) -> str:
    """`-0.5`, `12,000`, `1e-05`, with a typographic minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:g}"
    return text.replace("-", "−", 1) if value < 0 else text


def axes(x: Scale, y: Scale, x_label: str, y_label: str, *, x_ticks: Sequence[float] | None = None) -> str:
    """Grid, ticks and labels around a plot area."""
    parts = ['<g data-axes="">']
    for value in x.ticks() if x_ticks is None else x_ticks:
        at = f"{float(x(value)):.1f}"
        parts.append(f'<path class="grid" d="M{at} {y.start:g}V{y.end:g}"/>')
        parts.append(
            f'<text class="soft" x="{at}" y="{y.start + 15:g}" text-anchor="middle">{tick_text(value)}</text>'
        )
    for value in y.ticks():
        level = float(y(value))
        parts.append(f'<path class="grid" d="M{x.start:g} {level:.1f}H{x.end:g}"/>')
        parts.append(
            f'<text class="soft" x="{x.start - 6:g}" y="{level + 4:.1f}" text-anchor="end">{tick_text(value)}</text>'
        )
    parts.append(f'<path class="axis" fill="none" d="M{x.start:g} {y.end:g}V{y.start:g}H{x.end:g}"/></g>')
    middle_x, middle_y = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts.append(f'<text x="{middle_x:g}" y="{y.start + 32:g}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(12 {middle_y:g}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """Path data through the points, in drawing coordinates."""
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def dots(x: np.ndarray, y: np.ndarray) -> str:
    """Path data of round dots (by round line caps), in drawing coordinates."""
    return "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))
