"""Several tasks of a network: an output for each, rows with any value, and what `training.json` tells of them.

The target is the first task. Its validation rows and its scaling are those of a network of the target alone, except
that targets are always standardised (ranks stay ranks), so that no task outweighs the others by its unit.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from proteinx_pipelines.stages.train.further_values import names_of_tasks
from proteinx_pipelines.stages.train.task import FitTask

Outputs = TypeVar("Outputs")
TASKS = "tasks"
"""Setting with the names of the tasks; a network of one task has none."""
_WHY_STANDARDIZED = "several tasks share one loss"


def with_tasks(task: FitTask, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a network, with its tasks if there are several."""
    return {**settings, **({TASKS: list(names_of_tasks(task))} if task.further else {})}


def n_outputs(settings: Mapping[str, Any]) -> int:
    """Number of outputs of the network."""
    return len(settings.get(TASKS, (None,)))


def of_target(outputs: Outputs) -> Outputs:
    """The target's outputs [B], of an array or tensor [B] or [B, T]."""
    return outputs if outputs.ndim == 1 else outputs[:, 0]  # type: ignore[attr-defined,index]


def training_values(task: FitTask) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on (int64 [n], ascending) and their targets: float64 [n], or [n, T] with NaN for what is missing.

    With several tasks these are the training rows and the rows without a score that have a further property.
    """
    rows = task.fold.train
    if not task.further:
        return rows, task.targets[rows]
    further = np.stack(list(task.further.values()), axis=1)
    # Validation rows, and training rows of another part, have a target and are not of this network.
    unscored = np.flatnonzero(np.isnan(task.targets) & np.isfinite(further).any(axis=1))
    rows = np.union1d(rows, unscored)
    return rows, np.column_stack([task.targets[rows], further[rows]])


def about_tasks(task: FitTask) -> dict[str, Any]:
    """Facts for `training.json`; none with one task."""
    if not task.further:
        return {}
    _, values = training_values(task)
    counts = np.isfinite(values).sum(axis=0)
    names = names_of_tasks(task)
    return {
        **({"standardized_because": _WHY_STANDARDIZED} if task.flags.train.target == "none" else {}),
        TASKS: {
            "names": list(names),
            "rows": {name: int(count) for name, count in zip(names, counts, strict=True)},
            "rows_without_score": len(values) - len(task.fold.train),
        },
    }
