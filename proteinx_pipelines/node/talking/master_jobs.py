"""Jobs of the Master that runs on this machine, for commands in its WORKDIR; without one, there are none."""

import time
from typing import Any
from urllib.parse import urlencode

from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.node.talking.master_http import MasterHttp, running_master
from proteinx_pipelines.settings import Settings

MOST = 1000
"""Most waiting jobs that are shown, those that are next first."""
LOOK_S = 0.2
"""Seconds between two looks at a job."""


def master_here(settings: Settings) -> MasterHttp | None:
    """The Master that runs on this machine for this WORKDIR; None where there is none."""
    return running_master(load_master_settings(settings))


def waiting_jobs(settings: Settings) -> list[dict[str, Any]]:
    """Documents of the jobs that no node has yet, first to go first.

    Raises:
        MasterUnavailable: the Master does not answer.
    """
    return _jobs(settings, state="WAITING,HELD", sort="order", size=MOST)


def open_jobs_of(settings: Settings, experiment_id: str) -> list[dict[str, Any]]:
    """Documents of the jobs of an experiment that have not ended, newest first.

    Raises:
        MasterUnavailable: the Master does not answer.
    """
    return _jobs(settings, state="WAITING,HELD,ASSIGNED,RUNNING", experiment_id=experiment_id)


def cancel_job(settings: Settings, job_id: str, wait_s: float) -> dict[str, Any]:
    """Cancel a job and wait for its end; its document as it then is.

    Raises:
        MasterRefused: it has ended otherwise meanwhile.
        MasterUnavailable: the Master does not answer.
    """
    there = master_here(settings)
    assert there is not None  # it has just shown the job
    job: dict[str, Any] = there.post(f"/api/jobs/{job_id}/cancel")
    end = time.monotonic() + wait_s
    while job["finished_at"] is None and time.monotonic() < end:
        time.sleep(LOOK_S)
        job = there.get(f"/api/jobs/{job_id}")
    return job


def _jobs(settings: Settings, **query: Any) -> list[dict[str, Any]]:
    there = master_here(settings)
    if there is None:
        return []
    return list(there.get(f"/api/jobs?{urlencode(query)}")["items"])
