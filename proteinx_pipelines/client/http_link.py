"""How requests travel: which answers are errors, which are worth a second try, and when.

Every request that changes something carries a key by which the Master knows it again, so sending it twice is safe.
"""

import random
from types import ModuleType
from typing import Any

from proteinx_pipelines.client.calls import Call, T
from proteinx_pipelines.errors import BackendError, InputError, MissingPackage

TRIES = 6
"""Times that a request is sent before the client gives up: about half a minute."""
TEMPORARY = (408, 429, 502, 503, 504)
"""Answers after which the same request may succeed."""


class MasterRefused(InputError):
    """The Master refused a request; `code`, `status` and `problems` are its own."""

    def __init__(self, status: int, code: str, detail: str, problems: list[str]) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.problems = tuple(problems)


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


def result_of(call: Call[T], answer: Any) -> T:
    """The result of an answer.

    Raises:
        MasterRefused: it is an error.
    """
    if answer.is_success:
        return call.read(answer.json() if answer.content else {})
    raise refusal(answer)


def refusal(answer: Any) -> MasterRefused:
    """The error that an answer tells."""
    try:
        found = answer.json()
    except ValueError:
        found = {}
    if not isinstance(found, dict) or "code" not in found:
        text = f"{answer.request.url} answered {answer.status_code} and is no Master of ProteinX. Check the address."
        return MasterRefused(answer.status_code, "not_a_master", text, [])
    return MasterRefused(
        answer.status_code, str(found["code"]), str(found.get("detail", "")), list(found.get("problems", ()))
    )


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
        f"The Master at {url} does not answer ({type(error).__name__}: {error}). Is it running? `proteinx master` or "
        "`proteinx up` starts one."
    )
