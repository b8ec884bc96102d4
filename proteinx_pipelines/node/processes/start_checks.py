"""Checks before a node starts, done within seconds: its server answers, and its fixed port is free."""

import threading

import psutil

from proteinx_pipelines.errors import NodeBusy, QueueUnavailable
from proteinx_pipelines.master.settings import MasterSettings
from proteinx_pipelines.node.processes.ports import LOOPBACK, is_free
from proteinx_pipelines.queue.queue import connect, unavailable_as_our_error
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings

ANSWER_S = 5.0
"""Seconds that a server may take to answer before the start of a node is refused."""
_LONGEST_COMMAND = 120


def check_before_start(settings: Settings, *, web: bool, master: MasterSettings | None = None) -> None:
    """Check early what the node's parts would each find out much later.

    Args:
        settings: of the node.
        web: true if the web server is to start.
        master: settings of the Master that is to start; None for none.

    Raises:
        QueueUnavailable: a server that the settings name does not answer; the message has its address.
        NodeBusy: the port that was asked for is taken; the message names the holder.
    """
    for name, url in (("REDIS_URL", settings.redis_url), ("PROTEINX_BROKER_URL", settings.broker_url)):
        if url:
            _refuse_silent(name, url)
    if web and settings.web_port and not is_free(settings.web_port):
        raise port_taken("PROTEINX_WEB_PORT", settings.web_port, LOOPBACK)
    if master is not None and master.is_port_asked and master.port and not is_free(master.port):
        raise port_taken("PROTEINX_MASTER_PORT", master.port, master.host)


def port_taken(setting: str, port: int, host: str) -> NodeBusy:
    """The error that a port, which a setting asks for, is taken; its text names the holder."""
    return NodeBusy(
        f"Port {port} ({setting}) on {host} is taken by {port_holder(port)}. "
        "Stop that program, or choose another port; 0 is any free one."
    )


def _refuse_silent(name: str, url: str) -> None:
    """Ping a server; in a thread, since the look-up of a host's name has no time limit of its own."""
    found: list[str] = []
    asked = threading.Thread(target=lambda: found.append(_answer(url)), daemon=True)
    asked.start()
    asked.join(ANSWER_S)
    said = found[0] if found else f"no answer within {ANSWER_S:g} s"
    if said:
        why = redact(said).rstrip(".")
        raise QueueUnavailable(
            f"The Redis of {name} at {redact(url)} does not answer: {why}. Start it, or mend {name}; without REDIS_URL "
            "the node starts a server of its own."
        )


def _answer(url: str) -> str:
    """Error of a ping, in words; empty when the server answered."""
    try:
        with unavailable_as_our_error("being pinged"), connect(url) as client:
            client.ping()
    except QueueUnavailable as error:
        return str(error.__cause__ or error)
    return ""


def port_holder(port: int) -> str:
    """Process that listens on a port of this machine: `process 4711 (python -m http.server 3000)`."""
    try:
        listening = [found for found in psutil.net_connections("tcp") if found.status == psutil.CONN_LISTEN]
    except psutil.Error:
        listening = []
    pid = next((found.pid for found in listening if found.laddr and found.laddr.port == port), None)
    if pid is None:
        return "another program (of another user, or in another container)"
    try:
        command = redact(" ".join(psutil.Process(pid).cmdline()))
    except psutil.Error:
        return f"process {pid}"
    shown = command if len(command) <= _LONGEST_COMMAND else f"{command[: _LONGEST_COMMAND - 3]}..."
    return f"process {pid} ({shown})"
