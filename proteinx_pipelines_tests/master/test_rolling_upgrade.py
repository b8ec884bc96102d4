"""`deploy/rolling_upgrade.sh` against a real Master: drained, idle, upgraded, back, undrained; one after another."""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import insert, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.waiting import wait_until

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "rolling_upgrade.sh"
pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("curl") is None, reason="bash and curl are needed"
)


def add_node(master: Master, name: str) -> None:
    row = {"name": name, "first_seen": timestamp(), "last_seen": timestamp_before(1), "queue": f"q:{name}"}
    master.database.write(lambda c: c.execute(insert(nodes).values(**row)))


def drained(served: str) -> dict[str, bool]:
    return {each["name"]: each["drained"] for each in httpx.get(f"{served}/api/nodes").json()["items"]}


def upgrade(served: str, command: Path, *names: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PROTEINX_MASTER": served, "PROTEINX_UPGRADE_PAUSE_S": "0.1"}
    environment.pop("PROTEINX_TOKEN", None)
    return subprocess.Popen([str(SCRIPT), str(command), *names], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/bash\nset -e\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_each_node_is_upgraded_when_its_last_job_has_ended_and_takes_jobs_again(
    served: str, master: Master, tmp_path: Path
) -> None:
    for name in ("n1", "n2"):
        add_node(master, name)
    job_id = httpx.post(f"{served}/api/jobs", json={"flags": {"data.source": "GB1"}}).json()["job_id"]
    change(master, job_id, state="RUNNING", node="n1")
    command = script(tmp_path / "up", f'echo "$1" >> {tmp_path}/upgraded')
    process = upgrade(served, command, "n1", "n2")
    wait_until(lambda: drained(served)["n1"])
    assert not (tmp_path / "upgraded").exists()  # its job still runs
    change(master, job_id, state="SUCCEEDED", finished_at=timestamp())
    stop = threading.Event()
    beats = threading.Thread(target=keep_beating, args=(master, stop))
    beats.start()
    try:
        out, err = process.communicate(timeout=120)
    finally:
        stop.set()
        beats.join()
    assert process.returncode == 0, out + err
    assert (tmp_path / "upgraded").read_text().split() == ["n1", "n2"]
    assert drained(served) == {"n1": False, "n2": False}


def test_an_upgrade_that_fails_stops_there_and_the_node_stays_drained(
    served: str, master: Master, tmp_path: Path
) -> None:
    for name in ("n1", "n2"):
        add_node(master, name)
    process = upgrade(served, script(tmp_path / "up", "exit 3"), "n1", "n2")
    process.communicate(timeout=120)
    assert process.returncode == 3
    assert drained(served) == {"n1": True, "n2": False}
    unknown = upgrade(served, script(tmp_path / "up", "true"), "nobody")
    assert "404" in unknown.communicate(timeout=120)[1]
    assert unknown.returncode != 0


def change(master: Master, job_id: str, **values: Any) -> None:
    master.database.write(lambda c: c.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values)))


def keep_beating(master: Master, stop: threading.Event) -> None:
    while not stop.wait(0.2):
        master.database.write(lambda c: c.execute(update(nodes).values(last_seen=timestamp())))
