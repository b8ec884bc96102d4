"""Sends waiting experiments to their trackers, in a process of its own.

    python -m proteinx_pipelines.execution.tracking.sending

The packages of trackers are large and their servers may hang: the process ends itself after `LIMIT_S`, whatever it is
doing, and what was not sent is tried again later.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from proteinx_pipelines.execution.tracking import to_mlflow, to_tensorboard, to_wandb
from proteinx_pipelines.execution.tracking.run import TrackedRun
from proteinx_pipelines.execution.tracking.waiting import Waiting, waiting
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings, load_settings

log = logging.getLogger(__name__)
LIMIT_S = 300.0
"""Most seconds that one process sends."""
MODULE = "proteinx_pipelines.execution.tracking.sending"
_GONE_S = LIMIT_S + 60


def tell_all(settings: Settings, *, keep_waiting: bool = True) -> dict[str, int]:
    """Tell every tracker that is due.

    Args:
        settings: of the node.
        keep_waiting: leave alone what failed a moment ago; false tries everything.

    Returns:
        `told`, `failed`: numbers of experiments and trackers.
    """
    counts = {"told": 0, "failed": 0}
    away: set[str] = set()
    for each in waiting(settings):
        with each.claimed(_GONE_S) as is_mine:
            if not is_mine:
                continue
            due = each.due(time.time()) if keep_waiting else list(each.note())
            for tracker in due:
                if tracker not in away:
                    is_told = _tell(settings, each, tracker)
                    counts["told" if is_told else "failed"] += 1
                    away |= set() if is_told else {tracker}  # the others wait their turn
    return counts


def is_due(settings: Settings) -> bool:
    """True if something could be told now."""
    now = time.time()
    return any(each.due(now) for each in waiting(settings))


def start_sending(settings: Settings) -> "subprocess.Popen[bytes]":
    """Start the process that tells; it outlives this one and ends by itself."""
    return subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
        [sys.executable, "-m", MODULE],
        env={**os.environ, "PROTEINX_WORKDIR": str(settings.workdir)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _tell(settings: Settings, each: Waiting, tracker: str) -> bool:
    senders: Mapping[str, Callable[[TrackedRun], None]] = {
        "mlflow": to_mlflow.send,
        "wandb": lambda run: to_wandb.send(run, settings.paths.wandb_dir),
        "tensorboard": lambda run: to_tensorboard.send(run, settings.paths.tensorboard_dir),
    }
    try:
        # Noted first: whoever is killed in a server that hangs must not come back to it at once.
        each.failed(tracker, "It was being told when the process ended.", time.time())
        senders[tracker](TrackedRun(each.folder))
    except Exception as error:  # noqa: BLE001  # whatever a tracker raises
        text = redact(f"{type(error).__name__}: {error}")
        log.warning("%s could not be told to %s: %s", each.name, tracker, text[:500])
        each.failed(tracker, text, time.time())
        return False
    each.told(tracker)
    return True


def main() -> int:
    """Tell what is due, within the limit."""
    logging.basicConfig(level=logging.WARNING)
    watch = threading.Timer(LIMIT_S, os._exit, (1,))
    watch.daemon = True
    watch.start()
    return 1 if tell_all(load_settings())["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
