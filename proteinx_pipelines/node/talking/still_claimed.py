"""Keeps results back while a message that is decided is still on the claimed list in Redis.

Redis must not hold a claim and the answer to it at once: should it come back with the state of that moment after the
acknowledgement, nothing would tell the claimed copy from one that was sent again, and it would be answered once more.
Acknowledged first, an old claim comes back without its answer, and `outbox` makes one answer of the two.
"""

import hashlib
import logging
import time
from dataclasses import dataclass, field
from functools import lru_cache

from proteinx_pipelines.errors import WrongKeyType
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.talking.connections import master_queue
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
KEPT_BACK_S = 120.0
"""Longest wait for one acknowledgement, in seconds. The intake makes up for it when it next looks; where no intake
works, an answer that may come twice is better than none."""


@dataclass
class StillClaimed:
    """Messages seen claimed although they are decided. One per process."""

    settings: Settings
    seen: dict[str, float] = field(default_factory=dict)
    """SHA-256 of a message's bytes -> time on the monotonic clock at which it was first seen."""

    def keeps_back(self, state: Ledger) -> bool:
        """True if results have to wait. Ask after reading them: the note of a decision is as old as its answer.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        decided, now = state.decided_copies(), time.monotonic()
        still = decided.keys() & self._claimed() if decided else set[str]()
        self.seen = {message: self.seen.get(message, now) for message in still}
        return any(now - since < KEPT_BACK_S for since in self.seen.values())

    def _claimed(self) -> set[str]:
        try:
            return {hashlib.sha256(raw).hexdigest() for raw in master_queue(self.settings).claimed()}
        except WrongKeyType as error:
            log.warning("%s", error)
            return set()  # there are no claims, whatever else is there


@lru_cache(maxsize=4)
def still_claimed(settings: Settings) -> StillClaimed:
    """What this process has seen of a node's claimed list."""
    return StillClaimed(settings)
