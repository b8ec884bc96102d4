"""`run.*`: execution of the experiment on the node. Read by the node; never part of a stage's key."""

from pydantic import Field

from proteinx_pipelines.flags.base import FlagGroup


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
