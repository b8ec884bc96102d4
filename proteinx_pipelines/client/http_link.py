"""How requests travel: options of connections, which answers are errors, which are worth a second try, and when."""

import os
import random
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from proteinx_pipelines.client.calls import Call, T
from proteinx_pipelines.errors import BackendError, InputError, MissingPackage
from proteinx_pipelines.http_address import shown

TEMPORARY = (408, 429, 502, 503, 504)
"""Answers after which the same request may succeed."""
_BEHIND_THE_END = 416
"""Answer to a range that begins behind the last byte."""


class MasterRefused(InputError):
    """The Master refused a request; `code`, `status`, `problems` and `headers` are its own."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        problems: list[str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.problems = tuple(problems)
        self.headers = dict(headers or {})
        """By their names in lower case."""


class MasterUnavailable(BackendError):
    """The Master does not answer; try again later."""

    code = "master_unavailable"


def http_package() -> ModuleType:
    """The `httpx2` package, imported on first use.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import httpx2
    except ImportError as error:
        raise MissingPackage(
            "httpx2 is not installed, and addresses that begin with http need it. "
            "Install it with: pip install proteinx-client"
        ) from error
    return httpx2


def connection_options(
    http: ModuleType, url: str, token: str | None, timeout_s: float, tries: int
) -> dict[str, Any]:
    """Options of a client of the HTTP package.

    Args:
        http: the package.
        url: of the Master.
        token: PROTEINX_TOKEN when None.
        timeout_s: longest wait for one answer.
        tries: of a request. With a single one, every request has a connection of its own: one that was kept may have
            been closed by the Master meanwhile.
    """
    secret = token or os.environ.get("PROTEINX_TOKEN")
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    kept = {} if tries > 1 else {"limits": http.Limits(max_keepalive_connections=0)}
    return {"base_url": url, "headers": headers, "timeout": timeout_s, **kept}


def request_options(call: Call[Any]) -> dict[str, Any]:
    """Options of a request, all but its body of bytes."""
    headers = dict(call.headers)
    if call.content is not None:
        headers["Content-Length"] = str(call.content.length)
    options: dict[str, Any] = {"json": call.json, "headers": headers}
    if call.params:  # an empty mapping would remove the query of the path
        options["params"] = dict(call.params)
    if call.timeout_s is not None:
        options["timeout"] = call.timeout_s
    return options


def result_of(call: Call[T], answer: Any) -> T:
    """The result of an answer.

    Raises:
        MasterRefused: it is an error.
    """
    if not answer.is_success:
        raise refusal(answer)
    if call.of_headers:
        return call.read({name.lower(): value for name, value in answer.headers.items()})
    try:
        found = answer.json() if answer.content else {}
    except ValueError as error:  # some other program's page
        raise refusal(answer) from error
    return call.read(found)


def part_read(answer: Any) -> tuple[bytes, int]:
    """The bytes of an answer to a range, and the size of the whole file.

    Raises:
        MasterRefused: it is an error.
    """
    size = answer.headers.get("content-range", "").rpartition("/")[2]
    if answer.status_code == _BEHIND_THE_END:
        return b"", int(size or 0)
    if not answer.is_success:
        raise refusal(answer)
    return answer.content, int(size or len(answer.content))


def refusal(answer: Any) -> MasterRefused:
    """The error that an answer tells."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    try:
        found = answer.json()
    except ValueError:
        found = {}
    if not isinstance(found, dict) or "code" not in found:
        what = "and is no Master of ProteinX. Check the address." if answer.request.method != "HEAD" else ""
        text = f"{shown(str(answer.request.url))} answered {answer.status_code} {what}".rstrip()
        return MasterRefused(answer.status_code, "not_a_master", text, [], headers)
    detail, problems = str(found.get("detail", "")), list(found.get("problems", ()))
    return MasterRefused(answer.status_code, str(found["code"]), detail, problems, headers)


def pause_s(attempt: int, answer: Any = None) -> float:
    """Seconds to wait before the next try.

    Args:
        attempt: the one that failed, from 1.
        answer: its answer; None when there was none.
    """
    asked = answer.headers.get("retry-after", "") if answer is not None else ""
    if asked.isdecimal():
        return min(60.0, float(asked))
    return float(min(8.0, 0.25 * 2**attempt) * random.uniform(0.8, 1.2))  # noqa: S311  # spreads, protects nothing


def unavailable(url: str, error: Exception) -> MasterUnavailable:
    """The error for a Master that never answered."""
    return MasterUnavailable(
        f"The Master at {shown(url)} does not answer ({type(error).__name__}: {error}). Is it running, and is the "
        "address right? `proteinx master` or `proteinx up` starts one."
    )
