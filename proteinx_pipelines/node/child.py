"""How a part of the node begins its life: with signals that stop it, and dying with its supervisor."""

import os
import signal
import sys

SUPERVISOR_PID = "PROTEINX_SUPERVISOR_PID"
"""Set by the supervisor in the environment of the parts it starts."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def begin_part() -> None:
    """Prepare this process, before anything else installs signal handlers.

    A shell starts its background jobs with SIGINT ignored; Dagster then copies that and cannot be stopped.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    supervisor = os.environ.pop(SUPERVISOR_PID, None)
    if supervisor is not None:
        _die_with(int(supervisor))


def _die_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when `parent` dies, even when that was a SIGKILL."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        raise SystemExit(1)
