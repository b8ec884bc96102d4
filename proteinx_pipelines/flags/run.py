"""`run.*`: how the node treats the experiment. Read by the node; never part of a stage's key."""

from pydantic import Field

from proteinx_pipelines.flags.base import FlagGroup


class RunFlags(FlagGroup):
    """How the node treats the experiment."""

    timeout_s: float | None = Field(None, gt=0, le=315_576_000)
    """Limit from the first stage's start, in seconds while the machine is on and awake; no limit when null."""
    retries: int = Field(0, ge=0, le=20)
    """How many times a failed execution is tried again, when a retry can help."""
    retry_backoff_s: float = Field(1.0, ge=0, le=86_400)
    """Wait before retry k: k times this many seconds, at most 120."""
    resume: bool = True
    """Reuse what an earlier generation of this experiment computed; false computes everything."""
    allow_duplicate: bool = False
    """Let a new message for a known `experiment_id` start a new generation instead of being refused."""
