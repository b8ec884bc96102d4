"""Addresses of pages: the state of a page is in its query, and a link changes a part of it."""

from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from fastapi import Request


def changer(request: Request) -> Callable[..., str]:
    """Return `link(**changes)`: this page's address with some parameters changed, None removes one.

    Going to another state begins at the first page, unless `page` itself is what changes.
    """
    path, now = request.url.path, dict(request.query_params)

    def link(**changes: object) -> str:
        kept = {**now, "page": None, "lang": None, **changes}
        return address(path, {name: value for name, value in kept.items() if value not in (None, "")})

    return link


def address(path: str, query: Mapping[str, object]) -> str:
    """A path with its query."""
    text = urlencode({name: str(value) for name, value in query.items()}, safe=",/")
    return f"{path}?{text}" if text else path


def local_path(given: str | None) -> str:
    """Where to go after the login: a path of this site, `/` for anything else."""
    if not given or not given.startswith("/") or given.startswith(("//", "/\\")):
        return "/"
    return quote(given, safe="/?&=%.,+-_~:")
