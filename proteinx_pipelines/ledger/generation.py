"""One stored generation of an experiment, the outcome of an attempt at it, and the final states."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import Row

from proteinx_pipelines.clock import boot_id, steady_seconds
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
"""States that a generation does not leave."""
MAX_BACKOFF_S = 120.0
"""Longest wait before a retry, in seconds."""


@dataclass(frozen=True)
class Generation:
    """One generation of an experiment, as stored."""

    experiment_id: str
    generation: int
    state: str
    message_key: str
    message_id: str | None
    reply_to: str | None
    priority: int
    payload_ref: str | None
    flags: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    attempt: int
    failures: int
    losses: int
    run_id: str | None
    host_pid: int | None
    token: str | None
    stage: str | None
    progress: float | None
    note: str | None
    beat_at: float | None
    worker_pid: int | None
    cancel_requested: bool
    received_at: str
    started_at: str | None
    finished_at: str | None
    deadline: float | None
    boot: str | None
    limit_left: float | None
    updated_at: str
    error_code: str | None
    error_message: str | None
    trace: str | None
    summary: Mapping[str, float]
    stages: Mapping[str, str]
    result_id: str | None
    oom_kills: int | None

    @cached_property
    def tree(self) -> ExperimentFlags:
        """The flags as a tree. Equal flags are parsed once in a process; names are not looked up.

        Raises:
            FlagError: this version cannot read them any more.
        """
        return _tree_of(json.dumps(dict(self.flags)))

    @property
    def is_late(self) -> bool:
        """True if its time limit has passed; setting the machine's clock makes no difference."""
        return self.deadline is not None and self.boot == boot_id() and steady_seconds() > self.deadline

    @property
    def is_terminal(self) -> bool:
        """True if it has ended."""
        return self.state in TERMINAL

    @property
    def run_key(self) -> str:
        """`id/generation/attempt`: names one execution."""
        return f"{self.experiment_id}/{self.generation}/{self.attempt}"


@dataclass(frozen=True)
class Outcome:
    """End of an attempt."""

    state: str
    error_code: str | None = None
    error_message: str | None = None
    trace: str | None = None
    summary: Mapping[str, float | None] | None = None
    stages: Mapping[str, str] | None = None


@lru_cache(maxsize=64)
def _tree_of(text: str) -> ExperimentFlags:
    return parse_flags(json.loads(text))


_JSON_COLUMNS: Mapping[str, Any] = {"flags": {}, "plan": None, "summary": {}, "stages": {}}
_FIELDS = tuple(Generation.__dataclass_fields__)


def generation_of(row: Row[Any]) -> Generation:
    """Convert a row of the table to a record."""
    values = {name: getattr(row, name) for name in _FIELDS}
    for name, empty in _JSON_COLUMNS.items():
        values[name] = json.loads(values[name]) if values[name] else empty
    values["cancel_requested"] = bool(values["cancel_requested"])
    return Generation(**values)
