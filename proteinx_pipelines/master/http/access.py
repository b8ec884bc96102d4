"""Access: tokens and their scopes, protection of browsers, and the rate limit.

A token comes as `Authorization: Bearer ...`, or in the cookie that the login page sets. Without a token set, on a
Master that only this machine reaches, everybody may do everything: but only under a local `Host` (a page from
elsewhere could otherwise reach it by DNS rebinding), and changes only from pages of the same origin.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from fastapi import Depends, Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import LOOPBACK
from proteinx_pipelines.master.tokens import SCOPES

Scope = Literal["read", "submit", "node", "admin"]
INCLUDES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "node": frozenset({"read", "node"}),
    "admin": frozenset(SCOPES),
}
COOKIE = "proteinx_token"
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Whoever makes a request."""

    name: str
    scopes: frozenset[str]
    has_token: bool


def master_of(request: Request) -> Master:
    """The Master that serves this request."""
    master: Master = request.app.state.master
    return master


MasterOf = Annotated[Master, Depends(master_of)]


def caller_of(request: Request) -> Caller:
    """Find out who asks.

    Raises:
        HttpProblem: 401 without a valid token where one is needed; 403 for a change from a foreign page.
    """
    master = master_of(request)
    settings = master.settings
    given = _given_token(request)
    if settings.is_open and "authorization" not in request.headers:
        # A cookie may be another Master's: browsers do not keep ports apart.
        _refuse_foreign_host(request)
        refuse_foreign_page(request)
        return Caller("local", INCLUDES["admin"], has_token=False)
    if given is None:
        raise HttpProblem(
            401,
            "token_missing",
            "This Master needs a token, in the header `Authorization` behind the word `Bearer`. An administrator makes "
            "one with `proteinx master token --scope submit`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if COOKIE in request.cookies and "authorization" not in request.headers:
        refuse_foreign_page(request)
    found = caller_with(master, given)
    if found is None:
        raise HttpProblem(
            401,
            "token_unknown",
            "The token is not one of this Master's, or was revoked. Ask an administrator for another.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


def caller_with(master: Master, token: str) -> Caller | None:
    """The caller that a token stands for; None for one that is not known, or was revoked."""
    own = master.settings.token
    if own is not None and secrets.compare_digest(token.encode(), own.encode()):
        return Caller("operator", INCLUDES["admin"], has_token=True)
    found = master.callers.find(master.database.reading, token)
    if found is None:
        return None
    name, scopes = found
    included = frozenset[str]().union(*(INCLUDES.get(scope, frozenset()) for scope in scopes))
    return Caller(name, included, has_token=True)


def scope(*names: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """The check that a caller has one of these scopes, and stays within the rate limit."""

    async def check(request: Request) -> Caller:
        caller = caller_of(request)
        if caller.scopes.isdisjoint(names):
            raise HttpProblem(
                403,
                "scope_missing",
                f"This needs the scope `{'` or `'.join(names)}`; the token {caller.name!r} has "
                f"{', '.join(sorted(caller.scopes))}.",
            )
        await _refuse_above_rate(request, caller)
        return caller

    return check


Reader = Annotated[Caller, Depends(scope("read"))]
"""The caller of a route that shows something."""
Submitter = Annotated[Caller, Depends(scope("submit"))]
"""The caller of a route that asks for work, or changes what was asked for."""
NodeCaller = Annotated[Caller, Depends(scope("node"))]
"""The caller of a route that nodes use."""
Sender = Annotated[Caller, Depends(scope("node", "submit"))]
"""The caller of a route that takes what a job has written: a node, or training code of one's own (see `sending`)."""
Admin = Annotated[Caller, Depends(scope("admin"))]
"""The caller of a route that changes the Master itself, or destroys something."""


async def _refuse_above_rate(request: Request, caller: Caller) -> None:
    limiter: RateLimiter = request.app.state.limiter
    wait_s = await limiter.seconds_to_wait(caller.name)
    if wait_s is not None:
        raise HttpProblem(
            429,
            "too_many_requests",
            f"The token {caller.name!r} has made {limiter.per_minute} requests within a minute, which is the limit. "
            f"Wait {wait_s} s; `POST /api/jobs/batch` sends many jobs in one request.",
            headers={"Retry-After": str(wait_s)},
        )


class RateLimiter:
    """Requests of each token within a sliding minute."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def seconds_to_wait(self, name: str) -> int | None:
        """Count one request; the whole seconds to wait when it is one too many, else None."""
        if await self._limiter.hit(self._limit, name):
            return None
        window = await self._limiter.get_window_stats(self._limit, name)
        return max(1, round(window.reset_time - time.time()))


def _given_token(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return request.cookies.get(COOKIE)


def _refuse_foreign_host(request: Request) -> None:
    host = _place_of(f"//{request.headers.get('host', '')}").hostname or ""
    if host not in (*LOOPBACK, "testserver"):
        raise HttpProblem(
            403,
            "foreign_host",
            f"The request names the host {host[:100]!r}; this Master answers as 127.0.0.1 only.",
        )


def _place_of(address: str) -> SplitResult:
    """The parts of an address of any sender; empty ones where it is none, which are nobody's."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def refuse_foreign_page(request: Request) -> None:
    """Refuse a change that a page of another origin makes with this browser's rights."""
    if request.method in SAFE:
        return
    origin = request.headers.get("origin")
    own = request.headers.get("host", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and _place_of(origin).netloc != own) or site not in ("same-origin", "none"):
        raise HttpProblem(403, "foreign_page", "A page of another site may not change anything here.")
