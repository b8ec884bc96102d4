"""The learning curve, read from the experiment's `metrics/metrics.jsonl`.

Only metrics that carry an epoch belong to it. A fold that was trained twice (a retry, a resumed run) has its
epochs twice: the line written last counts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Curve = dict[str, dict[int, list[tuple[int, float]]]]
"""metric -> fold (0 for a single split) -> (epoch, value), ascending."""


def read_learning_curve(path: Path) -> Curve:
    """Metrics by epoch; empty when there is no file or none has epochs (a closed-form model)."""
    latest: dict[tuple[str, int, int], float] = {}
    for line in _lines(path):
        if line.get("epoch") is not None and isinstance(line.get("value"), int | float):
            latest[str(line["name"]), int(line.get("fold") or 0), int(line["epoch"])] = float(line["value"])
    curve: Curve = {}
    for (name, fold, epoch), value in sorted(latest.items()):
        curve.setdefault(name, {}).setdefault(fold, []).append((epoch, value))
    return curve


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as stream:
        for text in stream:
            # The last line may be half written while its experiment is running.
            if text.endswith("\n"):
                yield json.loads(text)
