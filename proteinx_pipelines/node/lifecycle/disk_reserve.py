"""Disk space reserved so that `disk_full` can still be recorded: a file deleted when `state.db` cannot grow.

On a full disk an experiment fails with `disk_full`. Writing that down needs a few pages of `state.db` and its journal;
they come from here. The agent recreates the reserve once there is space.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from proteinx_pipelines.ledger.engine import StateError
from proteinx_pipelines.settings import Settings

RESERVE_BYTES = 4 * 1024**2
"""Size of the reserve in bytes: room for thousands of transitions."""
_SPARE = 4  # the reserve is made again when there are this many times its size
_T = TypeVar("_T")


def keep_reserve(settings: Settings) -> None:
    """Create the reserve when it is missing and there is room for it."""
    path = _path(settings)
    if path.exists() or shutil.disk_usage(path.parent).free < _SPARE * RESERVE_BYTES:
        return
    with contextlib.suppress(OSError), path.open("wb") as stream:
        stream.write(bytes(RESERVE_BYTES))  # written, not sparse: the blocks are really allocated
        os.fsync(stream.fileno())


def with_reserve(settings: Settings, record: Callable[[], _T]) -> _T:
    """Write to `state.db`; on a full disk release the reserve and write again.

    Raises:
        StateError: there was no reserve, or the disk was not the cause.
    """
    try:
        return record()
    except StateError:
        try:
            _path(settings).unlink()
        except OSError:
            pass
        else:
            return record()
        raise


def _path(settings: Settings) -> Path:
    return settings.paths.reserve
