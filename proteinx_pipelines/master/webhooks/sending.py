"""One delivery: a signed POST to an address that was checked, or a command with the document on its input.

Signatures are those of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

import http.client
import shlex
import socket
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.webhooks.guard import check_url, checked_addresses

CONNECT_S = 5.0
ANSWER_S = 15.0
ANSWER_BYTES = 64 * 1024
"""Most bytes of an answer that are read; none of them is shown to whoever set the address."""


@dataclass(frozen=True)
class Outcome:
    """What came of one delivery."""

    is_done: bool
    is_gone: bool
    """True if the receiver wants no more (410)."""
    text: str
    """In a few words, without anything that the receiver said."""


def post(url: str, secret: str, outbox_id: str, body: str, allowed_hosts: Sequence[str] = ()) -> Outcome:
    """Post a document to a subscriber.

    Args:
        url: of the subscriber.
        secret: `whsec_...`, that signs.
        outbox_id: stays the same over all attempts: the receiver's idempotency key.
        body: exactly these characters are signed and sent.
        allowed_hosts: names that the operator allows.
    """
    try:
        host, port = check_url(url, allowed_hosts)
        address = checked_addresses(host, port, allowed_hosts)[0]
        status = _request(url, host, port, address, _headers(secret, outbox_id, body), body.encode("utf-8"))
    except InputError as error:
        return Outcome(False, False, str(error))
    except (OSError, http.client.HTTPException) as error:
        return Outcome(False, False, f"no answer: {type(error).__name__}")
    return Outcome(200 <= status < 300, status == 410, f"HTTP {status}")  # 3xx is not followed


def run(command: str, body: str) -> Outcome:
    """Run a command with the document on its standard input; its exit status 0 is success."""
    try:
        done = subprocess.run(  # noqa: S603  # an administrator's own command, no shell
            shlex.split(command), input=body.encode("utf-8"), capture_output=True, timeout=60, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Outcome(False, False, f"not run: {type(error).__name__}")
    return Outcome(done.returncode == 0, False, f"exit status {done.returncode}")


def _headers(secret: str, outbox_id: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": outbox_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(outbox_id, now, body),
        "content-type": "application/json",
        "user-agent": "proteinx-master",
    }


def _request(url: str, host: str, port: int, address: str, headers: dict[str, str], body: bytes) -> int:
    """Status of a POST over a connection to `address`; the host keeps its name for TLS and `Host`."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    raw: socket.socket = socket.create_connection((address, port), timeout=CONNECT_S)
    try:
        raw.settimeout(ANSWER_S)
        if parts.scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
        connection.sock = raw
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES)
        return answer.status
    finally:
        raw.close()
