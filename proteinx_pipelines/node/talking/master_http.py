"""HTTP requests to a Master, from the command line and from a node that joins; the standard library is enough."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from proteinx_pipelines.errors import BackendError, InputError
from proteinx_pipelines.master.settings import MasterSettings
from proteinx_pipelines.redaction import redact

ANSWER_S = 15.0
"""Seconds that a Master has for an answer."""
_LONGEST_ANSWER = 64 * 1024**2


class MasterUnavailable(BackendError):
    """The Master does not answer; the message says what to look at."""

    code = "master_unavailable"


class MasterRefused(InputError):
    """The Master refuses a request; the message is the Master's."""

    code = "master_refused"


@dataclass(frozen=True)
class MasterHttp:
    """A Master at an address."""

    url: str
    token: str | None = None

    def get(self, path: str) -> Any:
        """The document at a path."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """The answer to a document."""
        return self._ask("POST", path, document or {})

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None) -> Any:
        """One request.

        Raises:
            MasterRefused: the Master answers with an error.
            MasterUnavailable: it does not answer, or not in its own form.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None if document is None else json.dumps(document).encode("utf-8")
        if not self.url.startswith(("http://", "https://")):
            raise MasterRefused(
                f"{redact(self.url)!r} is no address of a Master; `http://HOST:PORT` is expected."
            )
        request = urllib.request.Request(  # noqa: S310  # http and https only, checked above
            self.url.rstrip("/") + path, data=body, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return json.loads(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            raise MasterRefused(_said(error)) from error
        except (OSError, ValueError) as error:
            raise MasterUnavailable(
                f"The Master at {redact(self.url)} does not answer: {error}. Is it running (`proteinx master`), and "
                "is the address right?"
            ) from error


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
    return (url, pid) if psutil.pid_exists(pid) else None


def _said(error: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(error.read(65_536))
        text = str(found["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"The Master answers {error.code} {error.reason}."
    return f"The Master says: {text}"
