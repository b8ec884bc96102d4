"""Ports of the node's own servers on 127.0.0.1: any free one, kept in a file for the next start.

    <WORKDIR>/run/<part>.json   {"url", "port", "pid", "started"}

Clients keep the address they know, so a server that is started again takes its old port while that is free.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.node.processes.births import birth
from proteinx_pipelines.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """Address on which a server of this node listens."""

    url: str
    port: int
    pid: int
    started: float
    """Start time of the process (`processes.births`): its id may be another process's by now."""

    @property
    def is_alive(self) -> bool:
        """True if the process that wrote this lives."""
        try:
            return abs(birth(self.pid) - self.started) < 1
        except psutil.Error:
            return False

    @property
    def is_served(self) -> bool:
        """True if the process that wrote this lives and accepts connections."""
        return self.is_alive and accepts_connections(self.port)


def claim_address(path: Path, url: str, wanted: int = 0) -> Address:
    """Choose the port of this process's server and write it down.

    Args:
        path: the file, below `<WORKDIR>/run`.
        url: its URL, with `{port}` in it.
        wanted: a fixed port; 0 takes the one of last time, or any free one.
    """
    known = read_address(path)
    candidates = [wanted] if wanted else [known.port] if known else []
    port = next((port for port in candidates if wanted or is_free(port)), None) or free_port()
    address = Address(url.format(port=port), port, os.getpid(), birth(os.getpid()))
    write_json(path, vars(address))
    return address


def claim_web(settings: Settings) -> Address:
    """The address of the web server: the port that was asked for, that of last time, or any free one."""
    return claim_address(settings.paths.running("web"), f"http://{LOOPBACK}:{{port}}", settings.web_port)


def read_address(path: Path) -> Address | None:
    """Address written by `claim_address`, or None."""
    try:
        return Address(**read_json(path))
    except (OSError, ValueError, TypeError):
        return None


def is_free(port: int) -> bool:
    """True if a server could listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        if os.name != "nt":  # on Windows this option lets two servers share a port
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.bind((LOOPBACK, 0))
        return int(candidate.getsockname()[1])


def accepts_connections(port: int) -> bool:
    """True if something listens on this port of 127.0.0.1."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
