"""`model.name=gp`: a Gaussian process that also uses a structure or an alignment, where one was given and pays.

Without evidence, or with another kernel than that of mutations, it is `gp` itself.
"""

from proteinx_pipelines.stages.train import gp
from proteinx_pipelines.stages.train.informed import fit_informed
from proteinx_pipelines.stages.train.task import Fit, FitTask

restore = gp.restore


def fit(task: FitTask) -> Fit:
    """Fit one fold.

    Raises:
        FlagError: `model.kernel` does not fit the embedding.
    """
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
