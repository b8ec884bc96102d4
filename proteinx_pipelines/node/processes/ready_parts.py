"""Parts of the node that are up: each writes `<WORKDIR>/run/<part>.json` when it can work."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.ledger.owners import owner_of
from proteinx_pipelines.node.processes.births import birth
from proteinx_pipelines.node.processes.locks import birth_or_none
from proteinx_pipelines.settings import Settings

PARTS = ("worker", "host", "sensor")
"""Parts without which no message can run."""
BEATING = ("daemon", "agent", "node")
"""Parts that renew their mark in every round of their work, besides the sensor; `node` is the supervisor."""
MASTER = "master"
"""Part that does so too, where a Master runs beside the node."""
MARK_AGAIN_S = 2.0
"""Seconds between two checks that the mark of a part is still there."""
FRESH_S = 90.0
"""Seconds without a mark of the sensor after which it counts as not listening."""


def mark_ready(settings: Settings, part: str) -> None:
    """Record that this process works as `part`; the sensor calls it again in every round."""
    path = _path(settings, part)
    if path.is_file() and _pid(path) == os.getpid():
        os.utime(path)
        return
    write_json(path, {"pid": os.getpid(), "started": birth(os.getpid())})


def keep_marked(settings: Settings, part: str) -> None:
    """Record that this process works as `part`, and again whenever somebody has removed the record."""
    mark_ready(settings, part)

    def look() -> None:
        while True:
            time.sleep(MARK_AGAIN_S)
            if not _path(settings, part).is_file():
                with contextlib.suppress(OSError):
                    mark_ready(settings, part)

    threading.Thread(target=look, name="mark", daemon=True).start()


def beat(settings: Settings, part: str) -> None:
    """Record progress of this process as `part`. A mark that cannot be written, on a full disk, is left out."""
    with contextlib.suppress(OSError):
        mark_ready(settings, part)


def keep_beating(settings: Settings, part: str, is_well: Callable[[], bool]) -> None:
    """Record progress of this process as `part` again and again, while `is_well` says so."""

    def look() -> None:
        while True:
            if is_well():
                beat(settings, part)
            time.sleep(MARK_AGAIN_S)

    threading.Thread(target=look, name="mark", daemon=True).start()


def silence_s(settings: Settings, part: str) -> float | None:
    """Seconds since the last sign of progress of a living part, by the time of day; None where there is none."""
    try:
        last = _path(settings, part).stat().st_mtime
    except OSError:
        return None
    return abs(time.time() - last) if pid_of(settings, part) is not None else None


def is_ready(settings: Settings, part: str) -> bool:
    """True if a living process works as `part`."""
    path = _path(settings, part)
    if not path.is_file():
        return False
    if part == "sensor" and abs(time.time() - path.stat().st_mtime) > FRESH_S:
        return False
    return pid_of(settings, part) is not None


def pid_of(settings: Settings, part: str) -> int | None:
    """Process id of a living part, or None; a process that later got the same number does not count."""
    path = _path(settings, part)
    try:
        known = read_json(path)
        pid = int(known["pid"])
        return pid if abs(birth(pid) - known["started"]) < 1 else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def process_of(settings: Settings, part: str) -> int | None:
    """Process id of a living part, ready or not.

    Where somebody has removed `run/`, `state.db` says who it is until the part marks itself again.
    """
    if _path(settings, part).is_file():
        return pid_of(settings, part)
    owner = owner_of(settings.state_path, part, birth_or_none)
    return owner.pid if owner is not None else None


def forget(settings: Settings) -> None:
    """Remove the marks of an earlier node."""
    for part in (*PARTS, *BEATING, MASTER):
        _path(settings, part).unlink(missing_ok=True)


def _path(settings: Settings, part: str) -> Path:
    return settings.paths.running(part)


def _pid(path: Path) -> int | None:
    try:
        return int(read_json(path)["pid"])
    except (OSError, ValueError, KeyError):
        return None
