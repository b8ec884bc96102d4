"""Start of a part of the node (signals that stop it, death with its supervisor) and its immediate end."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from proteinx_pipelines.settings import Settings

SUPERVISOR_PID = "PROTEINX_SUPERVISOR_PID"
"""Set by the supervisor in the environment of the parts it starts."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def begin_part() -> bool:
    """Prepare this process, before anything else installs signal handlers.

    A shell starts its background jobs with SIGINT ignored; Dagster then copies that and cannot be stopped.

    Returns:
        True in a part that a supervisor has started.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    supervisor = os.environ.pop(SUPERVISOR_PID, None)
    if supervisor is not None:
        _die_with(int(supervisor))
    return supervisor is not None


def _die_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when `parent` dies, even when that was a SIGKILL."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        raise SystemExit(1)


def run_to_the_end(part: Callable[[Settings], None], settings: Settings) -> NoReturn:
    """Run a part; when it returns, end this process without taking Python apart.

    All output of the part is durable by then. Python's own shutdown takes the step worker (torch, Dagster) 3 s of CPU,
    and waits for the code server's running tick.
    """
    code = 0
    try:
        part(settings)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = 130
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
