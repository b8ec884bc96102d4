"""Dagster's databases in a fresh DAGSTER_HOME: created by one process, while the others wait.

Every part opens them when it starts, and all parts start at once. Two processes that create them at the same
time leave a database that no process can open again (two heads in `alembic_version`).
"""

import time

from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.settings import Settings

WAIT_S = 60.0
"""Longest wait for the process that creates the databases, in seconds."""
_LOOK_S = 0.05


def create_history(settings: Settings) -> None:
    """Create the databases where there are none; DAGSTER_HOME is set and exists.

    Raises:
        NodeBusy: another process has been creating them for `WAIT_S` seconds; the message names it.
    """
    done = settings.dagster_home / ".history-created"
    if done.is_file():
        return
    import dagster as dg  # before the lock: waiting processes import in parallel

    lock = ProcessLock(settings.paths.lock("history"), "The run history")
    end = time.monotonic() + WAIT_S
    while not done.is_file():
        try:
            lock.acquire()
        except NodeBusy:
            if time.monotonic() > end:
                raise
            time.sleep(_LOOK_S)
            continue
        dg.DagsterInstance.get().dispose()
        done.touch()
    lock.release()
