"""The Master at an address, for a node and for commands in its WORKDIR: `client`, one try at a time.

Whoever calls decides whether and when to try again: the forwarder has pauses of its own, and a command that asks the
Master of its WORKDIR does not wait for one that is gone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.calls import Call, Content, InMemory
from proteinx_pipelines.master.settings import MasterSettings

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client

ANSWER_S = 15.0
"""Seconds that a Master has for an answer."""
DIGESTED_S = 300.0
"""Seconds that it has to answer a file: it reads it whole."""


@dataclass(frozen=True)
class MasterHttp:
    """A Master at an address.

    Raises (all methods):
        MasterRefused: the Master answers with an error.
        MasterUnavailable: it does not answer.
        InputError: the address is none of a Master.
    """

    url: str
    token: str | None = None
    """PROTEINX_TOKEN when None."""

    def get(self, path: str) -> Any:
        """The document at a path."""
        return self._client.ask(calls.document(path))

    def post(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """The answer to a document."""
        return self._client.ask(calls.document(path, "POST", document or {}))

    def head(self, path: str) -> dict[str, str]:
        """The headers of what is at a path, by their names in lower case."""
        return self._client.ask(Call("HEAD", path, dict, of_headers=True))

    def put(self, path: str, content: Content | InMemory, headers: Mapping[str, str]) -> dict[str, str]:
        """Send a part of a file, or a bundle; the headers of the answer, by their names in lower case."""
        given = {"Content-Type": "application/octet-stream", **headers}
        call: Call[dict[str, str]] = Call(
            "PUT", path, dict, content=content, headers=given, timeout_s=DIGESTED_S, of_headers=True
        )
        return self._client.ask(call)

    @cached_property
    def _client(self) -> "Client":
        from proteinx_pipelines.client.client import Client  # many commands look for a Master, few find one

        return Client(self.url, self.token, timeout_s=ANSWER_S, tries=1)


def running_master(settings: MasterSettings) -> MasterHttp | None:
    """The Master that runs in this folder; None where there is none."""
    known = _address(settings)
    return None if known is None else MasterHttp(known[0], settings.token)


def master_pid(settings: MasterSettings) -> int | None:
    """Process id of the Master that runs in this folder and listens; None where there is none."""
    known = _address(settings)
    return None if known is None else known[1]


def _address(settings: MasterSettings) -> tuple[str, int] | None:
    try:
        known = json.loads(settings.address_file.read_text(encoding="utf-8"))
        url, pid = str(known["url"]), int(known["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    import psutil

    return (url, pid) if psutil.pid_exists(pid) else None
