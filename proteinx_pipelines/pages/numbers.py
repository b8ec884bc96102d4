"""Number formatting shared by all pages, tables and pictures."""

import math
from collections.abc import Mapping
from typing import Any

DASH = "–"
"""Shown where a value is not defined."""


def number(value: float | None, digits: int = 3) -> str:
    """Format a number: `digits` decimals, more where it is small, a dash where it is undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    if value != 0 and abs(value) < 10.0**-digits:
        text = f"{value:.1e}"
    else:
        text = f"{value:,.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−", 1) if value < 0 else text


def interval(low: float | None, high: float | None) -> str:
    """`[0.742, 0.768]`; empty where there is none."""
    return "" if low is None or high is None else f"[{number(low)}, {number(high)}]"


def percent(fraction: float) -> str:
    """`95 %`."""
    return f"{100 * fraction:g} %"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """A JSON value in readable form."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):  # before numbers: True == 1
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
