"""Learning curve by epoch, from the training record of each fold.

`metrics/metrics.jsonl` is not used: a training that is reused, or taken over from another experiment, has no lines
there.
"""

import math

from proteinx_pipelines.records import Training

Curve = dict[str, dict[int, list[tuple[int, float]]]]
"""metric -> fold (0 for a single split) -> (epoch, value), ascending."""


def learning_curve(training: Training) -> Curve:
    """Finite metrics by epoch; empty for a model without epochs."""
    curve: Curve = {}
    for fold, info in enumerate(training.info.get("folds", ())):
        for entry in sorted(info.get("curve", ()), key=lambda entry: int(entry["epoch"])):
            for name, value in entry.items():
                if "/" in name and value is not None and math.isfinite(value):
                    points = curve.setdefault(name, {}).setdefault(fold, [])
                    points.append((int(entry["epoch"]), float(value)))
    return curve
