"""Failure bundle: all facts about a failed experiment in one file, `<WORKDIR>/failures/<id>-g<n>.json`.

It lies outside the experiment directory, which may itself be broken. Every text in it is cut and secrets are taken out;
of the environment it has the variables of an allow-list. It is written after the last attempt (`bundle_writer`), and
again when the same generation is finished again; writing it never decides anything.
"""

import logging
import os
import platform
from pathlib import Path
from typing import Any

from proteinx_pipelines.bounds import bounded_document
from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.failure import FailureBundle, FailureReason, ReplayNeeds, Transition
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.document import versions
from proteinx_pipelines.execution.replay_needs import needs_of
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.redaction import redact_all
from proteinx_pipelines.setting_values import ENVIRONMENT
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
TAIL_BYTES = 16_384
"""Length of the end of a log that is kept."""
_ENVIRONMENT = (
    *ENVIRONMENT.values(), "PROTEINX_PLUGINS", "PROTEINX_DEBUG",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_HOME", "PYTHONHASHSEED", "LANG", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "TZ",
)  # fmt: skip
"""Environment variables that a bundle contains; an unlisted one may hold a secret under any name."""
_LOGS = ("worker", "host", "agent")


def bundle_path(settings: Settings, experiment_id: str, generation: int) -> Path:
    """Path of the bundle of a failed generation."""
    return settings.paths.failure_bundle(experiment_id, generation)


def write_bundle(settings: Settings, state: Ledger, current: Generation, outcome: Outcome) -> Path:
    """Write the bundle of a failed generation; returns its path.

    Raises:
        OSError: the disk is full; the result goes out without it.
    """
    return write_json(
        bundle_path(settings, current.experiment_id, current.generation),
        bounded_document(redact_all(_bundle(settings, state, current, outcome).document())),
    )


def _bundle(settings: Settings, state: Ledger, current: Generation, outcome: Outcome) -> FailureBundle:
    history = state.history(current.experiment_id)
    return FailureBundle(
        experiment_id=current.experiment_id,
        generation=current.generation,
        attempt=current.attempt,
        error=FailureReason(code=outcome.error_code, message=outcome.error_message, stage=current.stage),
        trace=outcome.trace,
        written_at=timestamp(),
        node=settings.node_name,
        flags=dict(current.flags),
        payload_ref=current.payload_ref,
        message_id=current.message_id,
        seeds=_seeds(current.flags),
        plan=None if current.plan is None else dict(current.plan),
        stages=None if outcome.stages is None else dict(outcome.stages),
        attempts=state.attempts_at(current.experiment_id, current.generation),
        transitions=tuple(
            Transition.model_validate(step) for step in history if step["generation"] == current.generation
        ),
        versions=versions(),
        code=code_facts(),
        needs=_needs(settings, current),
        platform={"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()},
        environment={name: os.environ[name] for name in sorted(_ENVIRONMENT) if name in os.environ},
        logs={
            "train": _tail(ExperimentDir(settings.experiments_dir, current.experiment_id).train_log),
            **{part: _tail(settings.paths.part_log(part)) for part in _LOGS},
        },
        again=f"proteinx replay {current.experiment_id}",
    )


def _needs(settings: Settings, current: Generation) -> ReplayNeeds | None:
    """Needs of a replay on another node; None where this version cannot read the flags, or the data are unreadable."""
    try:
        return needs_of(settings, current.tree, current.payload_ref)
    except (ProteinxError, OSError, ValueError) as error:
        log.warning("%s: what it needs cannot be told: %s", current.run_key, error)
        return None


def _seeds(flags: Any) -> dict[str, Any]:
    return {
        f"{group}.seed": values["seed"]
        for group, values in flags.items()
        if isinstance(values, dict) and "seed" in values
    }


def _tail(path: Path) -> list[str]:
    """Last lines of a log; empty when the file is missing or a link."""
    try:
        if path.is_symlink():
            return []
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
