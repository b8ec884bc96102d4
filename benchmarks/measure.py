"""What every benchmark shares: repeats taken in turn with the peer's, spread, goals, the machine, the form.

A benchmark is a script `benchmarks/<topic>.py` that measures a few figures and calls `report`. Nothing here knows a
topic; `benchmarks/run.py` runs the set and draws the table.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.execution.document import versions

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real data beside the checkout; some benchmarks need it, and say so without it."""


def need(path: Path) -> Path:
    """The path, when it is there; otherwise the benchmark ends here and `run.py` shows this sentence."""
    if not path.exists():
        raise SystemExit(f"missing: {path.name} is not in {path.parent}")
    return path


@dataclass(frozen=True)
class Spread:
    """The repeats of one measurement, in the unit of its figure."""

    median: float
    min: float
    max: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Goal:
    """What a figure is to reach: `ours` at most a value, or at least a ratio (peer / ours for times)."""

    of: str
    """"ours" or "ratio"."""
    relation: str
    """"<=" or ">="."""
    value: float

    def is_met(self, figure: "Figure") -> bool | None:
        """Whether it is reached; None when what it speaks of was not measured."""
        return self.holds(figure.ours.median, figure.ratio)

    def holds(self, ours: float, ratio: float | None) -> bool | None:
        """The same from the two numbers."""
        found = ours if self.of == "ours" else ratio
        if found is None:
            return None
        return found <= self.value if self.relation == "<=" else found >= self.value


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    id: str
    """Stable, such as `selection.read_2500k`: it finds the peer of an earlier full run."""
    what: str
    unit: str
    ours: Spread
    peer: Spread | None = None
    peer_name: str | None = None
    goals: tuple[Goal, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Anything else worth keeping: sizes, largest difference, peak memory."""

    @property
    def ratio(self) -> float | None:
        """How many times longer (or larger) the peer is."""
        return self.peer.median / self.ours.median if self.peer else None


def in_turn(sides: Mapping[str, Callable[[], Any]], repeats: int, *, warm: bool = True) -> dict[str, Spread]:
    """Seconds of each side; the sides take turns within a repeat, so that a busy moment slows all of them.

    Args:
        sides: a function for each name; `None` sides are to be left out by the caller.
        repeats: how often each is timed.
        warm: whether each is called once before, uncounted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + warm):
        for name, function in sides.items():
            started = time.perf_counter()
            function()
            if repeat >= warm:
                seconds[name].append(time.perf_counter() - started)
    return {name: Spread.of(values) for name, values in seconds.items()}


def arguments_of(
    description: str | None, *more: Callable[[argparse.ArgumentParser], Any]
) -> argparse.Namespace:
    """The options that every benchmark has: `--repeats`, `--no-peers`, `--out`, and its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="time our side only")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    for add in more:
        add(parser)
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """What the times depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def report(topic: str, figures: Sequence[Figure], out: Path | None) -> None:
    """Print the figures as lines, and write them down when asked."""
    for figure in figures:
        print(line(figure), flush=True)
    if out:
        document = {
            "topic": topic,
            "at": timestamp(),
            "machine": machine(),
            "versions": versions(),
            "figures": [{**asdict(figure), "ratio": figure.ratio} for figure in figures],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def line(figure: Figure) -> str:
    """One figure in words."""
    ours = f"{figure.ours.median:.4g} {figure.unit} ({figure.ours.min:.4g} to {figure.ours.max:.4g})"
    peer = ""
    if figure.peer:
        peer = f"; {figure.peer_name} {figure.peer.median:.4g} {figure.unit}, ratio {figure.ratio:.2f}"
    words = {True: "met", False: "missed", None: "not measured"}
    goals = "".join(
        f"; goal {g.of} {g.relation} {g.value:g}: {words[g.is_met(figure)]}" for g in figure.goals
    )
    return f"{figure.id}: {figure.what}: {ours}{peer}{goals}"


def goal_table(figures: Sequence[Figure]) -> str:
    """A line for each figure: what was promised, what was measured, and the peer's beside it where there is one."""
    words = {True: "met", False: "MISSED", None: ""}
    lines = [("", "goal", "measured", "least to greatest", "peer", "peer / ours", "")]
    for figure in figures:
        ours, unit = figure.ours, figure.unit
        goal = next(iter(figure.goals), None)
        lines.append((
            figure.what, f"{goal.relation} {goal.value:g} {unit}" if goal else "", f"{ours.median:.3g} {unit}",
            f"{ours.min:.3g} to {ours.max:.3g}", f"{figure.peer.median:.3g} {unit}" if figure.peer else "",
            f"{figure.ratio:.2f}" if figure.ratio is not None else "",
            words[goal.is_met(figure) if goal else None],
        ))  # fmt: skip
    kept = [column for column in range(len(lines[0])) if any(line[column] for line in lines[1:])]
    cells = [[line[column] for column in kept] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
