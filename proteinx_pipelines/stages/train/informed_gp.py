"""`model.name=gp`: a Gaussian process that also uses a structure or an alignment, where one was given and pays.

Without evidence, or with another kernel than that of mutations, it is `gp` itself; with several tasks, `task_gp`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.flags.reading import JOINT
from proteinx_pipelines.stages.train import gp, task_gp
from proteinx_pipelines.stages.train.informed import fit_informed
from proteinx_pipelines.stages.train.task import Fit, FitTask, Predictor


def fit(task: FitTask) -> Fit:
    """Fit one fold.

    Raises:
        FlagError: `model.kernel` does not fit the embedding.
    """
    if task.flags.model.tasks == JOINT:
        return task_gp.fit(task)
    informed, facts = fit_informed(task) if task.flags.model.kernel in (None, "mutation") else (None, {})
    if informed is None:
        found = gp.fit(task)
        return Fit(found.predictor, {**found.info, **facts})
    predictor = informed.predictor
    return Fit(
        predictor,
        {
            "kernel": predictor.rows.name,
            "n_rows": len(predictor.weights),
            "noise": predictor.parameters.noise,
            "log_likelihood": predictor.parameters.log_likelihood,
            "converged": predictor.converged,
            **facts,
        },
    )


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Predictor:
    """Rebuild the predictor from its exported settings and tensors."""
    if task_gp.is_told(settings):
        return task_gp.restore(settings, tensors)
    return gp.restore(settings, tensors)
