"""Weights & Biases: a run with configuration, metrics and files, and its model as an artifact with an alias.

Project, entity, server and key are W&B's own variables (WANDB_PROJECT, WANDB_BASE_URL, WANDB_API_KEY). With
WANDB_MODE=offline everything is written below `<WORKDIR>/wandb` for `wandb sync`.

Source: https://docs.wandb.ai/ref/python, "wandb.init", "Artifact".
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.execution.tracking.run import ALIAS, PROJECT, TrackedRun

_INIT_S = 30


def send(run: TrackedRun, folder: Path) -> None:
    """Tell W&B.

    Args:
        run: the experiment.
        folder: for its local files.

    Raises:
        BackendError: the package is missing, or no key is given.
        Exception: what W&B raises when its server does not answer.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb
    except ImportError as error:
        raise BackendError(
            "The tracker wandb needs its package: `pip install 'proteinx-infra[wandb]'`."
        ) from error
    if os.environ.get("WANDB_MODE") != "offline" and not os.environ.get("WANDB_API_KEY"):
        raise BackendError("WANDB_API_KEY is not set in the environment of the node.")
    folder.mkdir(parents=True, exist_ok=True)
    session = wandb.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT, name=run.name, dir=str(folder),
        id=hashlib.sha256(run.name.encode()).hexdigest()[:16], resume="allow", config=dict(run.parameters),
        tags=[run.document.status], settings=wandb.Settings(init_timeout=_INIT_S, console="off"),
    )  # fmt: skip
    try:
        for value in run.values():
            session.log({value.name: value.value, "step": value.step})
        session.summary.update(run.summary)
        session.log_artifact(
            _artifact(wandb, run, "results", [run.directory.path(name) for name in run.files])
        )
        if run.succeeded and run.model_dir is not None:
            model = wandb.Artifact(run.model_name, type="model")
            model.add_dir(str(run.model_dir))
            session.log_artifact(model, aliases=[ALIAS])
    finally:
        session.finish(exit_code=0 if run.succeeded else 1)


def _artifact(wandb: Any, run: TrackedRun, kind: str, paths: list[Path]) -> Any:
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in run.name)
    artifact = wandb.Artifact(f"{kind}-{name}"[:128], type=kind)
    for path in paths:
        artifact.add_file(str(path), name=path.relative_to(run.directory.root).as_posix())
    return artifact
