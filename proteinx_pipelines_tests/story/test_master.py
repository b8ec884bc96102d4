"""`proteinx up` on one machine: Master and node at one address, and a Master that dies is back there."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest

from proteinx_pipelines_tests.story.conftest import Node

pytestmark = [pytest.mark.story, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]

WITH_MASTER = ("-m", "proteinx_pipelines.cli.main", "up", "--no-web")
FLAGS = {"data": {"source": "GB1_Nisthal_2019", "limit": 200}, "evaluate": {"bootstrap": 0, "plots": False}}


def address(node: Node) -> dict[str, Any]:
    return dict(json.loads((node.workdir / "master" / "master.json").read_text(encoding="utf-8")))


def ended(url: str, job_id: str, within_s: float = 240.0) -> dict[str, Any]:
    """The job when it has ended; the Master may be away for a moment."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            job = httpx.get(f"{url}/api/jobs/{job_id}", timeout=5).json()
        except httpx.HTTPError:
            job = {"finished_at": None}
        if job["finished_at"] is not None:
            return dict(job)
        time.sleep(0.2)
    raise AssertionError(f"{job_id} has not ended")


def test_one_command_serves_jobs_over_http_and_over_the_queue_and_survives_its_masters_death(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    node = make_node(PROTEINX_MASTER_PORT="0", PROTEINX_NODE_NAME="alone")
    node.start(*WITH_MASTER)
    try:
        before = address(node)
        url = before["url"]
        assert url in node.log.read_text(encoding="utf-8")
        created = httpx.post(
            f"{url}/api/jobs", json={"flags": FLAGS, "experiment_id": "over-http"}, timeout=60
        )
        assert created.status_code == 201
        job = ended(url, created.json()["job_id"])
        assert (job["state"], job["node"], job["stage"]) == ("SUCCEEDED", "alone", "evaluate")
        psutil.Process(before["pid"]).kill()
        result = node.run("over-the-queue", {**FLAGS, "split": {"seed": 1}}, message_id="mine")
        assert (result["status"], result["message_id"], result["node"]) == ("SUCCEEDED", "mine", "alone")
        jobs = httpx.get(f"{url}/api/jobs", timeout=60).json()["items"]
        assert [each["experiment_id"] for each in jobs] == ["over-the-queue", "over-http"]
        assert address(node)["pid"] != before["pid"]
        assert "master was killed by SIGKILL" in node.log.read_text(encoding="utf-8")
    finally:
        node.stop()
    assert not (node.workdir / "master" / "master.json").exists()
