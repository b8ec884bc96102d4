"""The examples of the Master, run as people run them, against a real server."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from proteinx_pipelines.master.database.tables import jobs
from proteinx_pipelines.master.master import Master

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(served: str, *words: str) -> str:
    environment = {**os.environ, "PROTEINX_MASTER": served}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(served: str) -> None:
    printed = run(served, "bash", str(EXAMPLES / "master_curl.sh"), "GB1").splitlines()
    assert printed[0].startswith("created j-")
    assert printed[1:] == ["WAITING", "10", "CANCELLED", "job.created", "job.moved", "job.state"]


def test_python(served: str, master: Master) -> None:
    over = threading.Event()
    values = {"state": "SUCCEEDED", "summary": {"test/spearman": 0.5}, "updated_at": "now"}
    waiting = update(jobs).where(jobs.c.state == "WAITING").values(**values)

    def work() -> None:  # what nodes do
        while not over.wait(0.3):
            master.database.write(lambda connection: connection.execute(waiting))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        printed = run(served, sys.executable, str(EXAMPLES / "master_client.py"), "GB1")
    finally:
        over.set()
        worker.join()
    assert "is SUCCEEDED {'test/spearman': 0.5}" in printed
    assert "3 rows" in printed
