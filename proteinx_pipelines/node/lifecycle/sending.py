"""Sends to the shared store in the background, in a thread of the agent; nothing waits for it.

A store that does not answer is tried again, less and less often; while it is away, running experiments are told by a
note that this thread renews, so that they do not try it themselves.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.execution.sending import Sender
from proteinx_pipelines.execution.shared_garbage import evict_beyond
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.files.shared.names import PROBE
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines.files.shared.store import PATIENCE_S, SharedStore, shared_store
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
ROUND_S = 1.0
"""Pause between two looks at what waits, in seconds."""
FIRST_RETRY_S, LAST_RETRY_S = 2.0, 30.0
"""Pauses between two tries while the store does not answer: the first and the longest."""
EVICT_S = 3600.0
"""Seconds between two evictions beyond `PROTEINX_STORE_MAX_GB`."""


@dataclass
class BackgroundSender:
    """The sender of one node."""

    settings: Settings
    stopping: threading.Event
    _evict_at: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Send until the node stops."""
        pause = FIRST_RETRY_S
        while not self.stopping.is_set():
            try:
                self._round()
                pause = FIRST_RETRY_S
                self.stopping.wait(ROUND_S)
            except BackendError as error:
                log.info("The shared store is tried again in %.0f s: %s", pause, error)
                self.stopping.wait(pause)
                pause = min(LAST_RETRY_S, 2 * pause)
            except Exception:  # a file that cannot be read must not end all sending
                log.exception("Sending to the shared store failed.")
                self.stopping.wait(LAST_RETRY_S)

    def _round(self) -> None:
        quick = shared_store(self.settings)
        patient = shared_store(self.settings, silence_s=PATIENCE_S)
        assert quick is not None
        assert patient is not None
        self._look_whether_it_answers(quick)
        sender = Sender(
            patient.blobs,
            StageStore(self.settings.paths.store_dir),
            Outgoing(self.settings.paths.outgoing_dir),
            keeps_going=lambda: not self.stopping.is_set(),
        )
        if sender.send_all():
            quick.away.clear()
        self._evict(patient)

    def _look_whether_it_answers(self, quick: SharedStore) -> None:
        """While the store is noted as away: ask it a small question, and renew or remove the note."""
        if not quick.away.path.is_file():
            return
        try:
            quick.blobs.size(PROBE)
        except BackendError as error:
            quick.away.write(error)
            raise
        quick.away.clear()

    def _evict(self, patient: SharedStore) -> None:
        limit = self.settings.store_max_gb
        if limit is not None and (now := time.monotonic()) >= self._evict_at:
            self._evict_at = now + EVICT_S
            evict_beyond(patient.blobs, int(limit * 1e9))


def send_in_background(settings: Settings, stopping: threading.Event) -> None:
    """Start the thread that sends; does nothing where the settings name no store."""
    if settings.store is not None:
        sender = BackgroundSender(settings, stopping)
        threading.Thread(target=sender.run, name="sender", daemon=True).start()
