"""What a soak's samples say: growth for each thousand experiments, the first limit, and a figure."""

import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import psutil
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plots import STYLE

Sample = Mapping[str, Any]
WARM = 0.5
"""Share of the experiments that a node warms up in: its growth is fitted to what comes after."""
STEADY = 0.02
"""Growth of less than this share of a series' level in a thousand experiments is called none."""


def series(samples: Sequence[Sample]) -> Iterator[tuple[str, str, list[float], float | None]]:
    """Every series: its name, its unit, its values, and the limit that it may reach."""
    parts = samples[-1]["parts"]
    memory = psutil.virtual_memory().total / 1e6
    descriptors = float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for part in parts:
        yield f"memory, {part}", "MB", _of(samples, _at("parts", part, "uss_mb")), memory
    yield (
        "memory, all parts",
        "MB",
        _of(samples, lambda s: sum(p["pss_mb"] for p in s["parts"].values())),
        memory,
    )
    for part in parts:
        yield (
            f"descriptors, {part}",
            "",
            _of(samples, _at("parts", part, "descriptors")),
            descriptors,
        )
    room = samples[-1]["disk_free_mb"] + sum(samples[-1]["disk_mb"].values())
    for folder in samples[-1]["disk_mb"]:
        yield f"disk, {folder}", "MB", _of(samples, _at("disk_mb", folder)), None
    yield "disk, all of WORKDIR", "MB", _of(samples, lambda s: sum(s["disk_mb"].values())), room
    yield "Redis, memory", "MB", _of(samples, lambda s: s["redis"]["used_mb"]), memory
    for which, words in (("keys", "keys"), ("lasting", "keys that never expire,")):
        for kind in sorted({kind for sample in samples for kind in sample["redis"][which]}):
            values = _of(samples, partial(_of_kind, which, kind))
            yield f"Redis, {words} {kind}", "", values, None


def growth(experiments: Sequence[float], values: Sequence[float]) -> float:
    """Growth for each thousand experiments: the slope of a line through what comes behind the warm-up."""
    first = int(len(values) * WARM)
    x, y = np.asarray(experiments[first:], float), np.asarray(values[first:], float)
    known = np.isfinite(y)
    return float(np.polyfit(x[known], y[known], 1)[0] * 1000) if known.sum() > 1 else float("nan")


def least_around(values: Sequence[float], of: int = 4) -> list[float]:
    """The least of each sample and the few behind it: a sample in the middle of a stage is higher, and says nothing."""
    known = [value if np.isfinite(value) else np.inf for value in values]
    whole = max(1, len(known) - of + 1)  # behind it, there are too few
    least = [min(known[at : at + of]) if at < whole else np.inf for at in range(len(known))]
    return [value if np.isfinite(value) else float("nan") for value in least]


def growth_table(samples: Sequence[Sample]) -> str:
    """A Markdown table of all series that say something, and the sentence about the first limit."""
    experiments = [sample["experiments"] for sample in samples]
    rows, reached = [], []
    for name, unit, values, limit in series(samples):
        passes = name.startswith(("memory", "descriptors"))
        slope, last = growth(experiments, least_around(values) if passes else values), values[-1]
        grows = abs(slope) > STEADY * max(abs(last), 1.0)
        rows.append(
            f"| {name} | {_number(values[0], unit)} | {_number(last, unit)} | {_growth(slope, unit, grows)} |"
        )
        if limit is not None and grows and slope > 0:
            reached.append(((limit - last) / slope * 1000, name, limit, unit))
    head = f"| | at the start | after {experiments[-1]:,} experiments | growth in 1,000 |\n|---|---|---|---|"
    if not reached:
        return "\n".join([head, *rows, "", "Nothing grows towards a limit.", ""])
    at, name, limit, unit = min(reached)
    said = f"First limit: {name}, after about {_round(at):,} more experiments ({_number(limit, unit)})."
    return "\n".join([head, *rows, "", said, ""])


def draw(samples: Sequence[Sample], target: Path) -> None:
    """Four panels: memory, descriptors, disk, Redis."""
    experiments = [sample["experiments"] for sample in samples]
    found = list(series(samples))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5.6), layout="constrained")
        panels = figure.subplots(2, 2).flat
        for panel, (kind, label) in zip(panels, PANELS.items(), strict=True):
            _panel(panel, kind, label, experiments, found)
        figure.savefig(target, format="svg", metadata={"Date": None})


PANELS = {
    "memory, ": "MB of its own (USS)",
    "descriptors, ": "open descriptors",
    "disk, ": "MB on disk",
    "Redis, keys ": "keys in Redis",
}


def _panel(panel: Axes, kind: str, label: str, experiments: Sequence[float], found: Sequence[Any]) -> None:
    least = 10 if kind.startswith("Redis") else 1  # single keys would fill the legend
    panel.set_prop_cycle(color=mpl.color_sequences["tab20"][::2] + mpl.color_sequences["tab20"][1::2])
    for name, _unit, values, _limit in found:
        if not name.startswith(kind) or name.endswith(("all parts", "all of WORKDIR")):
            continue
        if np.nanmax(values) >= least:
            panel.plot(experiments, values, label=name.removeprefix(kind), linewidth=0.9, marker="")
    panel.set(xlabel="finished experiments", ylabel=label, ylim=(0, None))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=5.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _at(*names: str) -> Callable[[Sample], float]:
    """Reads the number that lies below these names."""

    def read(sample: Sample) -> float:
        found: Any = sample
        for name in names:
            found = found[name]
        return float(found)

    return read


def _of_kind(which: str, kind: str, sample: Sample) -> float:
    """Keys of a kind; there may be none."""
    return float(sample["redis"][which].get(kind, 0))


def _of(samples: Sequence[Sample], read: Callable[[Sample], float]) -> list[float]:
    """One series; a part that was not there is not a number."""
    values = []
    for sample in samples:
        try:
            values.append(float(read(sample)))
        except KeyError:
            values.append(float("nan"))
    return values


def _number(value: float, unit: str) -> str:
    return f"{value:,.1f} {unit}" if unit else f"{value:,.0f}"


def _growth(slope: float, unit: str, grows: bool) -> str:
    return f"{slope:+,.1f} {unit}".strip() if grows else "none"


def _round(value: float) -> int:
    """Two digits: it is an extrapolation."""
    digits = len(str(int(value))) - 2
    return int(round(value, -digits)) if digits > 0 else int(value)
