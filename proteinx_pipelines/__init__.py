"""ProteinX Compute: one queue message in, one finished, reproducible protein-fitness experiment out.

A protein engineer has measured variants of a protein and asks which model predicts the rest, how well, and
why. They say so in flags (`flags`). A message that carries the flags (`contract`) becomes a row in `state.db`
(`ledger`) and a run of six Dagster assets (`defs`) on one GPU node (`node`):

    selection -> transform -> embedding -> split -> train -> evaluate

Each asset calls one pure function of `stages` through `execution`, and what it makes (`records`) lies in the
experiment's directory (`experiment_dir`). A script or a notebook opens a finished one with
`proteinx_pipelines.open_experiment("gb1-001")`; a person at a terminal uses `proteinx` (`cli`).

The names in `PROMISED` stay as docs/api.md describes them; every other name may change with any release.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client as Client
    from proteinx_pipelines.experiment import Experiment as Experiment
    from proteinx_pipelines.experiment import open_experiment as open_experiment
    from proteinx_pipelines.flags.parsing import convert as convert_flags
    from proteinx_pipelines.flags.parsing import parse_flags as parse_flags
    from proteinx_pipelines.metrics import register as register_metric
    from proteinx_pipelines.representations import register as register_representation
    from proteinx_pipelines.scripting import import_file as import_file
    from proteinx_pipelines.scripting import rank as rank
    from proteinx_pipelines.scripting import run_experiment as run_experiment
    from proteinx_pipelines.user_models import register_model as register_model
    from proteinx_pipelines.user_models import register_network as register_network
    from proteinx_pipelines.user_splits import register as register_split

PROMISED = {
    "Client": "client.client:Client",
    "Experiment": "experiment:Experiment",
    "convert_flags": "flags.parsing:convert",
    "import_file": "scripting:import_file",
    "open_experiment": "experiment:open_experiment",
    "parse_flags": "flags.parsing:parse_flags",
    "rank": "scripting:rank",
    "register_metric": "metrics:register",
    "register_model": "user_models:register_model",
    "register_network": "user_models:register_network",
    "register_representation": "representations:register",
    "register_split": "user_splits:register",
    "run_experiment": "scripting:run_experiment",
}
"""Promised name -> where it is, below this package."""
__all__ = [
    "Client",
    "Experiment",
    "convert_flags",
    "import_file",
    "open_experiment",
    "parse_flags",
    "rank",
    "register_metric",
    "register_model",
    "register_network",
    "register_representation",
    "register_split",
    "run_experiment",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: every process of a node imports this package, few open an experiment.
    if name not in PROMISED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, _, attribute = PROMISED[name].partition(":")
    try:
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(__name__):
            raise
        raise ImportError(
            f"{name} is not part of proteinx-client, which only sends and waits. Install proteinx-infra for it."
        ) from error


def __dir__() -> list[str]:
    return sorted([*globals(), *PROMISED])
