"""One part of a node as its supervisor knows it: process, log, and when it is started again.

The supervisor starts and watches parts; `part_stopping` stops them.
"""

import threading
import time
from dataclasses import dataclass, field

from proteinx_pipelines.node.processes.part_log import PartLog
from proteinx_pipelines.node.processes.process_groups import PartProcess

STEADY_S = 60.0
"""Seconds of life after which a part is restarted at once; a shorter life means a growing pause."""
MAX_PAUSE_S = 4.0
"""Longest pause before a part is started again, in seconds."""


@dataclass
class Child:
    """One part, as it runs or waits for its next start."""

    part: str
    log: PartLog
    process: PartProcess | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    due_at: float | None = None
    """Time of the next start (monotonic seconds); None while it runs."""
    ended: threading.Event = field(default_factory=threading.Event)
    said_ready: bool = False
    """True once its readiness was announced; for the web server, which starts late."""

    @property
    def is_running(self) -> bool:
        """True if it was started and has not ended."""
        return self.process is not None and not self.ended.is_set()

    def pause_after_death(self) -> float:
        """Note a death, and return the seconds until the next start: 0 after a long life, else growing."""
        lived = time.monotonic() - self.started_at
        self.quick_deaths = 0 if lived > STEADY_S else self.quick_deaths + 1
        pause = 0.0 if self.quick_deaths <= 1 else min(MAX_PAUSE_S, 0.5 * 2 ** (self.quick_deaths - 2))
        self.due_at = time.monotonic() + pause
        return pause
