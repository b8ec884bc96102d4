"""Request from the supervisor to the agent: a part has died, reconcile now."""

import contextlib

from proteinx_pipelines.settings import Settings


def ask_to_reconcile(settings: Settings) -> None:
    """Ask this node's agent to reconcile at once. A file, since signals differ between systems.

    Where it cannot be created (a full disk) the agent reconciles by itself within seconds; the supervisor goes on.
    """
    with contextlib.suppress(OSError):
        settings.paths.reconcile_request.touch()


def was_asked_to_reconcile(settings: Settings) -> bool:
    """True if somebody has asked since the last call."""
    path = settings.paths.reconcile_request
    if not path.exists():
        return False
    path.unlink(missing_ok=True)
    return True
