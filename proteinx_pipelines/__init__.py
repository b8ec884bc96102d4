"""ProteinX Compute: one queue message in, one finished, reproducible protein-fitness experiment out.

A protein engineer has measured variants of a protein and asks which model predicts the rest, how well, and
why. They say so in flags (`flags`). A message that carries the flags (`inbox`) becomes a row in `state.db`
(`ledger`) and a run of six Dagster assets (`defs`) on one GPU node (`node`):

    selection -> transform -> embedding -> split -> train -> evaluate

Each asset calls one pure function of `stages` through `execution`, and what it makes (`records`) lies in the
experiment's directory (`experiment_dir`). A script or a notebook opens a finished one with
`proteinx_pipelines.open_experiment("gb1-001")`; a person at a terminal uses `proteinx` (`cli`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proteinx_pipelines.experiment import open_experiment as open_experiment


def __getattr__(name: str) -> Any:
    # Imported on first use: every process of a node imports this package, few open an experiment.
    if name == "open_experiment":
        from proteinx_pipelines.experiment import open_experiment

        return open_experiment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
