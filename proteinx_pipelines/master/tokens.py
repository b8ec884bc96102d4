"""Tokens: made at random, stored as digests, shown once."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.database.tables import tokens

SCOPES = ("read", "submit", "node", "admin")
"""`admin` includes all; `submit` includes `read`; `node` is what a node needs, and includes `read`."""


_VALID = select(tokens.c.name, tokens.c.scopes).where(
    tokens.c.digest == bindparam("wanted"), tokens.c.revoked_at.is_(None)
)


class UnknownToken(InputError):
    """There is no token of this id."""

    code = "unknown_token"


class BadScope(InputError):
    """A scope does not exist."""

    code = "bad_scope"


def digest(token: str) -> str:
    """What is stored of a token: SHA-256. The token is random, so a slow hash would protect nothing."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def new_token() -> str:
    """A random token of 256 bits."""
    return f"px_{secrets.token_urlsafe(32)}"


def make(connection: Connection, name: str, scopes: Sequence[str]) -> dict[str, Any]:
    """Make a token; the document has it in clear, for the only time.

    Args:
        connection: of the change.
        name: of whoever will use it.
        scopes: of `SCOPES`, at least one.

    Raises:
        BadScope: a scope does not exist, or none is given.
    """
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong or not scopes:
        found = ", ".join(wrong) or "none"
        raise BadScope(f"Found {found[:100]}; one or more of the scopes {', '.join(SCOPES)} are expected.")
    token, token_id = new_token(), f"t-{secrets.token_hex(6)}"
    chosen = sorted(set(scopes), key=SCOPES.index)
    values = {"token_id": token_id, "name": name, "scopes": chosen, "created_at": timestamp()}
    connection.execute(insert(tokens).values(**values, digest=digest(token)))
    return {**values, "token": token}


class Callers:
    """Whom tokens belong to, remembered: each request would ask the database otherwise. A change forgets them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._changes = 0

    def find(
        self, read: Callable[[], AbstractContextManager[Connection]], token: str
    ) -> tuple[str, tuple[str, ...]] | None:
        """Name and scopes of a token; None for one that is not known, or was revoked.

        Args:
            read: opens a connection.
            token: as it was sent.
        """
        key = digest(token)
        found = self._found.get(key)
        if found is not None:
            return found
        before = self._changes
        with read() as connection:
            row = connection.execute(_VALID, {"wanted": key}).one_or_none()
        if row is None:
            return None
        found = (str(row.name), tuple(row.scopes))
        if before == self._changes:  # otherwise what was read may be revoked by now
            self._found[key] = found
        return found

    def forget(self) -> None:
        """Ask the database again; called when a token has been revoked."""
        self._changes += 1
        self._found.clear()


def known(connection: Connection) -> list[dict[str, Any]]:
    """All tokens, without their digests."""
    columns = (tokens.c.token_id, tokens.c.name, tokens.c.scopes, tokens.c.created_at, tokens.c.revoked_at)
    query = select(*columns).order_by(tokens.c.created_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def revoke(connection: Connection, token_id: str) -> None:
    """Make a token worthless.

    Raises:
        UnknownToken: there is none of this id.
    """
    found = connection.execute(
        update(tokens)
        .where(tokens.c.token_id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=timestamp())
    )
    exists = select(tokens.c.token_id).where(tokens.c.token_id == token_id)
    if found.rowcount == 0 and connection.execute(exists).scalar() is None:
        raise UnknownToken(f"There is no token {token_id[:60]!r}. `GET /api/tokens` lists them.")
