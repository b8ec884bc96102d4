"""MLflow's server, to measure the Master beside."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2 as httpx
import psutil
from load import Load, send
from local_node import clean_environment

_STARTS_WITHIN_S = 120


class PeerClock:
    """Adds up the seconds that a peer takes: they are no part of the time that ours may take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds of a block."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began


class Peer:
    """MLflow's server on its own database."""

    def __init__(self, url: str, clock: PeerClock) -> None:
        self.url, self._clock = url, clock

    def create_runs(self, number: int, clients: int) -> Load:
        """Runs, as its client creates them."""
        body = {"experiment_id": "0", "start_time": 0, "tags": [{"key": "source", "value": "GB1"}]}
        with self._clock.running():
            return send(self.url, [{"path": "/api/2.0/mlflow/runs/create", "body": body}] * number, clients)


@contextmanager
def mlflow_server(program: str | None, clock: PeerClock) -> Iterator[Peer | None]:
    """MLflow's server, where it is installed; None otherwise, said on standard error. `clock` counts its seconds."""
    found = shutil.which(program) if program else None
    if found is None:
        if program:
            print(
                "MLflow is not installed: `pip install mlflow` in an environment of its own, --mlflow PATH",
                file=sys.stderr,
            )
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(
            [found, "server", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/m.db"],
            env={**clean_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            with clock.running():
                answers = _answers(f"{url}/health", process)
            yield Peer(url, clock) if answers else None
        finally:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.terminate()
            process.terminate()
            with clock.running():
                process.wait(timeout=60)


def _answers(url: str, process: "subprocess.Popen[bytes]") -> bool:
    end = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).is_success:
                return True
        except httpx.HTTPError:
            time.sleep(0.2)
    print(f"MLflow's server does not answer at {url}", file=sys.stderr)
    return False
