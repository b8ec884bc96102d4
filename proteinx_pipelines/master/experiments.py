"""Directory of a job's experiment, where its node works in this machine's WORKDIR.

A node elsewhere sends lines and files; of a node here the Master reads the experiment's own. Both are one mechanism to
whoever asks: see `logs.feeds` and `artifacts.index`.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.settings import Settings

OWN_CODE = "run"
"""Kind of a job that no node executes: training code of one's own reports it."""


def experiment_here(settings: Settings, job: Mapping[str, Any]) -> ExperimentDir | None:
    """The experiment's directory; None where another machine has it, or nothing has been written yet.

    Args:
        settings: of the node on this machine.
        job: its row.
    """
    if job["kind"] == OWN_CODE:
        return None  # its name is no experiment's, though it may be the same
    try:
        directory = ExperimentDir(settings.experiments_dir, job["experiment_id"])
    except ProteinxError:  # a link in its place
        return None
    if not directory.root.is_dir():
        return None
    is_own = job["node"] in (None, settings.node_name) or _has_taken(settings, job)
    return directory if is_own else None


def _has_taken(settings: Settings, job: Mapping[str, Any]) -> bool:
    """True if the node of this WORKDIR has taken the job, whatever it is called."""
    if not settings.state_path.is_file():
        return False
    current = _ledger(settings.state_path).latest(job["experiment_id"])
    return current is not None and (current.message_id or "").startswith(f"{job['job_id']}/")


@lru_cache(maxsize=4)
def _ledger(path: Path) -> Ledger:
    return Ledger(path)
