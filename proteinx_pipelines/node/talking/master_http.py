"""HTTP requests to a Master, from the command line and from a node that joins; the standard library is enough."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO

import psutil

from proteinx_pipelines.errors import BackendError, InputError
from proteinx_pipelines.master.settings import MasterSettings
from proteinx_pipelines.redaction import redact

ANSWER_S = 15.0
"""Seconds that a Master has for an answer."""
DIGESTED_S = 300.0
"""Seconds that it has to answer a file: it reads it whole."""
_LONGEST_ANSWER = 64 * 1024**2


class MasterUnavailable(BackendError):
    """The Master does not answer; the message says what to look at."""

    code = "master_unavailable"


class MasterRefused(InputError):
    """The Master refuses a request; the message is the Master's."""

    code = "master_refused"

    def __init__(self, message: str, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        """Of the answer; 0 where none was asked."""
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        super().__init__(message)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the token elsewhere."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Follow none: the answer is an error."""


_opener = urllib.request.build_opener(_NoRedirect)


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

    def head(self, path: str) -> dict[str, str]:
        """The headers of what is at a path, by their names in lower case."""
        with self._answer("HEAD", path, None, {}) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}

    def put(self, path: str, content: BinaryIO, length: int, headers: Mapping[str, str]) -> dict[str, str]:
        """Send the next `length` bytes of a stream; the headers of the answer, by their names in lower case."""
        given = {
            "Content-Type": "application/octet-stream", "Content-Length": str(length), **headers,
        }  # fmt: skip
        with self._answer("PUT", path, content, given, DIGESTED_S) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None) -> Any:
        """One request about a document."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        body = None if document is None else json.dumps(document).encode("utf-8")
        with self._answer(method, path, body, headers) as answer:
            try:
                return json.loads(answer.read(_LONGEST_ANSWER))
            except ValueError as error:
                raise self._unavailable(error) from error

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        longest_s: float = ANSWER_S,
    ) -> Iterator[HTTPResponse]:
        """One request.

        Raises:
            MasterRefused: the Master answers with an error.
            MasterUnavailable: it does not answer, or not in its own form.
        """
        if not self.url.startswith(("http://", "https://")):
            raise MasterRefused(
                f"{redact(self.url)!r} is no address of a Master; `http://HOST:PORT` is expected."
            )
        given = dict(headers)
        if self.token is not None:
            given["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(  # noqa: S310  # http and https only, checked above
            self.url.rstrip("/") + path, data=body, headers=given, method=method
        )
        try:
            with _opener.open(request, timeout=longest_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise MasterRefused(_said(error), error.code, dict(error.headers.items())) from error
        except (OSError, HTTPException) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> MasterUnavailable:
        return MasterUnavailable(
            f"The Master at {redact(self.url)} does not answer: {error}. Is it running (`proteinx master`), and is the "
            "address right?"
        )


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
