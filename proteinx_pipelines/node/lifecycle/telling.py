"""Tells trackers of ended experiments in the background: a thread of the agent that starts a process when one waits."""

import logging
import subprocess
import threading

from proteinx_pipelines.execution.tracking.sending import LIMIT_S, is_due, start_sending
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
LOOK_S = 2.0
"""Pause between two looks at what waits, in seconds."""


def tell_in_background(settings: Settings, stopping: threading.Event) -> None:
    """Start the thread."""
    threading.Thread(target=_run, args=(settings, stopping), name="trackers", daemon=True).start()


def _run(settings: Settings, stopping: threading.Event) -> None:
    while not stopping.wait(LOOK_S):
        try:
            if is_due(settings):
                _tell(start_sending(settings), stopping)
        except Exception:  # a folder that cannot be read must not end all telling
            log.exception("Trackers could not be told.")


def _tell(process: "subprocess.Popen[bytes]", stopping: threading.Event) -> None:
    """Wait for the process; it ends with the node, and by itself after its limit."""
    waited = 0.0
    while process.poll() is None and not stopping.wait(0.5) and waited < LIMIT_S + 10:
        waited += 0.5
    if process.poll() is None:
        process.kill()
    process.wait()
