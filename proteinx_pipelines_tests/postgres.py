"""A PostgreSQL server of a test's own, on a free port of 127.0.0.1; the test is skipped where none is installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proteinx_pipelines.node.processes.ports import free_port

ROOT_HAS_NO_SERVER = "nobody"
"""PostgreSQL refuses to run as root; a test that does runs its server as this user."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of an empty database, until its server is stopped."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'proteinx-infra[postgres]'")
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("needs a PostgreSQL server: Debian's package `postgresql`")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("a PostgreSQL server does not run as root, and setpriv is not there")
    folder = Path("/tmp") / f"pg-{os.getpid()}-{time.monotonic_ns()}"  # pytest's own are closed to others
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, ROOT_HAS_NO_SERVER)
    data, port = str(folder / "data"), free_port()
    try:
        as_server([initdb, "-D", data, "-U", "tester", "--auth=trust", "--encoding=UTF8", "--no-sync"])
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{folder}' -c fsync=off"
        )
        as_server([pg_ctl, "-D", data, "-w", "-t", "120", "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            as_server([pg_ctl, "-D", data, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str | None:
    """A program of PostgreSQL's server: Debian keeps them off PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return next((str(place) for place in places), None) or shutil.which(name)


def as_server(words: list[str]) -> None:
    """Run a program as a user that a server may run as."""
    if os.geteuid() == 0:
        words = ["setpriv", f"--reuid={ROOT_HAS_NO_SERVER}", "--clear-groups", *words]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stderr
