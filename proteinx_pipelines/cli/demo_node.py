"""The node used by the demo: the one running in this WORKDIR, or one started and stopped here."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import redis

from proteinx_pipelines.errors import BackendError, NodeBusy
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID
from proteinx_pipelines.node.processes.process_groups import ask_to_end, own_group
from proteinx_pipelines.node.processes.readiness import heart_beats, missing_parts
from proteinx_pipelines.node.talking.master_http import running_master
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_LIMIT_S = 180.0
_STOP_LIMIT_S = 20.0
_LOOK_S = 0.1


class NodeDidNotStartError(BackendError):
    """The node of the demo ended or was not ready in time; its logs give the reason."""

    code = "node_did_not_start"


class DemoNode:
    """A running node, or one that is starting (`process`)."""

    def __init__(self, settings: Settings, process: "subprocess.Popen[bytes] | None") -> None:
        self.settings = settings
        self.process = process

    @property
    def words(self) -> str:
        """Origin of the node, as text."""
        how = "runs here already" if self.process is None else "is ready"
        return f"node {self.settings.node_name} {how}"

    def wait_until_ready(self) -> None:
        """Wait for the heartbeat.

        Raises:
            NodeDidNotStartError: it ended, or there was none within three minutes.
        """
        end = time.monotonic() + _START_LIMIT_S
        while not heart_beats(self.settings):
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > end:
                missing = ", ".join(missing_parts(self.settings))
                raise NodeDidNotStartError(
                    f"The node did not start; missing: {missing}. The logs are in {self.settings.logs_dir}."
                )
            time.sleep(_LOOK_S)

    @property
    def page(self) -> str | None:
        """Address of the Master's page of jobs; None where the node works without a Master."""
        there = running_master(load_master_settings(self.settings))
        return None if there is None else f"{there.url}/jobs"

    def client(self) -> "redis.Redis":
        """A plain Redis client, like the Master's."""
        return redis.Redis.from_url(redis_url(self.settings), socket_timeout=30)


@contextmanager
def running_node(settings: Settings) -> Iterator[DemoNode]:
    """The node that runs in this WORKDIR, or a new one that is stopped at the end."""
    if _runs_already(settings):
        yield DemoNode(settings, None)
        return
    # On a Master's Redis the demo uses its own lists, so that its results reach nobody else.
    lists = {"QUEUE_NAME": "demo", "RESULT_QUEUE_NAME": "demo:results"} if settings.redis_url else {}
    own = replace(
        settings,
        queue_name=lists.get("QUEUE_NAME", settings.queue_name),
        result_queue_name=lists.get("RESULT_QUEUE_NAME", settings.result_queue_name),
    )
    process = _start(own, lists)
    try:
        yield DemoNode(own, process)
    finally:
        _stop(process)


def _runs_already(settings: Settings) -> bool:
    lock = PartLock(settings.paths, "node", "The node")
    try:
        lock.acquire()
    except NodeBusy:
        return True
    lock.release()
    return False


def _start(settings: Settings, lists: "Mapping[str, str]") -> "subprocess.Popen[bytes]":
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, **lists, SUPERVISOR_PID: str(os.getpid()), "PROTEINX_WORKDIR": str(settings.workdir),
    }  # fmt: skip
    with (settings.paths.part_log("demo-node")).open("ab") as log:
        return subprocess.Popen(  # our own command
            [sys.executable, "-m", "proteinx_pipelines.cli.main", "up", "--no-web", "--with-master"],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **own_group(),
        )  # fmt: skip


def _stop(process: "subprocess.Popen[bytes]") -> None:
    ask_to_end(process)
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
