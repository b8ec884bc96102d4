"""Which parts of the node are up: each writes `<WORKDIR>/run/<part>.json` when it can work."""

import os
import time
from pathlib import Path

import psutil

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.node.processes import birth
from proteinx_pipelines.settings import Settings

PARTS = ("worker", "host", "sensor")
"""Parts without which no message can run."""
FRESH_S = 90.0
"""A sensor that has not been heard of for this long, in seconds, is not listening."""


def mark_ready(settings: Settings, part: str) -> None:
    """Say that this process works as `part`; called again by the sensor on every round."""
    path = _path(settings, part)
    if path.is_file() and _pid(path) == os.getpid():
        os.utime(path)
        return
    write_json(path, {"pid": os.getpid(), "started": birth(os.getpid())})


def is_ready(settings: Settings, part: str) -> bool:
    """Whether a living process works as `part`."""
    path = _path(settings, part)
    if not path.is_file():
        return False
    if part == "sensor" and abs(time.time() - path.stat().st_mtime) > FRESH_S:
        return False
    return pid_of(settings, part) is not None


def pid_of(settings: Settings, part: str) -> int | None:
    """Process id of a living part, or None; a number that another program got later does not count."""
    path = _path(settings, part)
    try:
        known = read_json(path)
        pid = int(known["pid"])
        return pid if abs(birth(pid) - known["started"]) < 1 else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def forget(settings: Settings) -> None:
    """Remove what an earlier node left."""
    for part in PARTS:
        _path(settings, part).unlink(missing_ok=True)


def _path(settings: Settings, part: str) -> Path:
    return settings.paths.running(part)


def _pid(path: Path) -> int | None:
    try:
        return int(read_json(path)["pid"])
    except (OSError, ValueError, KeyError):
        return None
