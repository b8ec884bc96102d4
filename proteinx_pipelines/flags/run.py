"""`run.*`: execution of the experiment on the node. Read by the node; never part of a stage's key."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from proteinx_pipelines.flags.base import FlagGroup, from_names

MOST_LABELS = 20
"""Most labels that an experiment may ask for."""
LABEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""Form of a label, as nodes publish it."""


def _time_with_zone(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(
            f"found {text[:40]!r}; a time with its zone is expected, such as `2026-03-01T18:00:00+00:00`"
        )
    return text


Moment = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_time_with_zone)]
"""A time as text, ISO 8601, with its zone."""


class Needs(FlagGroup):
    """What a node must have to be given the experiment. A Master reads it; a node alone does not."""

    gpu: int = Field(0, ge=0, le=1024)
    """Number of GPUs."""
    gpu_memory_gb: float | None = Field(None, gt=0, le=1e6)
    """Memory of each of these GPUs, in units of 10^9 bytes."""
    memory_gb: float | None = Field(None, gt=0, le=1e6)
    """Memory of the machine, in units of 10^9 bytes."""
    cpus: int | None = Field(None, ge=1, le=100_000)
    """Number of logical processors."""
    labels: Annotated[tuple[Annotated[str, Field(pattern=LABEL_PATTERN)], ...], from_names(MOST_LABELS)] = ()
    """Labels of the node (setting `labels`), such as `["a100"]`; it must have all of them."""


class RunFlags(FlagGroup):
    """Execution of the experiment on the node."""

    timeout_s: float | None = Field(None, gt=0, le=315_576_000)
    """Time limit in seconds from the start of the first stage, counted while the machine is on and awake; no limit
    when null.
    """
    retries: int = Field(0, ge=0, le=20)
    """Number of retries of a failed execution, if a retry can help."""
    retry_backoff_s: float = Field(1.0, ge=0, le=86_400)
    """Wait before retry k, in seconds: k times this value, at most 120."""
    resume: bool = True
    """Reuse stages that an earlier generation of this experiment computed; false computes everything."""
    allow_duplicate: bool = False
    """Let a new message for a known `experiment_id` start a new generation; false refuses it."""
    shards: int = Field(1, ge=1, le=1000)
    """Number of parts computed at once: of an embedding by a language model, of folds and `train.seeds`, of a learning
    curve against training-set size, of the predictions of a large library. By processes of the node, or by the workers
    of its Dask cluster (setting `dask`). The result is the same to the byte.
    """
    track: Annotated[tuple[Literal["mlflow", "wandb", "tensorboard"], ...], from_names()] = ()
    """Trackers that the experiment is told to when it has ended, besides those of the node (setting `track`):
    parameters, metrics, files, and its model under the alias `newest`. Addresses and keys are the trackers' own
    environment variables on the node.
    """
    needs: Needs = Needs()
    """What a node must have to be given the experiment by a Master."""
    deadline: Moment | None = None
    """Time (ISO 8601, with its zone) by which it should have ended. Within a priority, a Master gives out first what
    is due first. Nothing is stopped at that time: see `run.timeout_s`.
    """
    slo_s: float | None = Field(None, gt=0, le=315_576_000)
    """The same as a time limit in seconds from the moment when the Master got it."""
