"""One node as the Master knows it: its row, and what its published documents say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from proteinx_pipelines.contract.capabilities import Capabilities


@dataclass(frozen=True)
class Node:
    """A row of `nodes`."""

    name: str
    is_drained: bool
    first_seen: str
    last_seen: str
    is_lost: bool
    lost_at: str | None
    queue: str | None
    heartbeat: Mapping[str, Any] | None
    capabilities: Mapping[str, Any] | None
    gpu_usage: Mapping[str, Any] | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Node":
        """The node of a row."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    @property
    def takes_jobs(self) -> bool:
        """True if it is there, listens on its own list, and is not drained."""
        return self.queue is not None and not self.is_lost and not self.is_drained

    @cached_property
    def can(self) -> Capabilities | None:
        """Its capabilities; None where it has not published any that can be read."""
        try:
            return Capabilities.model_validate(self.capabilities) if self.capabilities else None
        except ValueError:
            return None

    @cached_property
    def fingerprint(self) -> str:
        """Text that changes when what it can take changes."""
        facts = {name: value for name, value in (self.capabilities or {}).items() if name != "time"}
        return json.dumps([self.name, self.takes_jobs, facts], sort_keys=True)
