"""`Idempotency-Key`: the same request, sent again, gets the same answer and changes nothing.

The answer is written in the transaction of the change, so that a crash between them cannot happen.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.master.database.tables import answers
from proteinx_pipelines.master.http.access import Caller, master_of
from proteinx_pipelines.master.http.json_answer import as_json
from proteinx_pipelines.master.http.problems import HttpProblem

Item = TypeVar("Item")
LONGEST_KEY = 255


@dataclass(frozen=True)
class _Asked(Generic[Item]):
    """One request: what it asks for, its key (None without one), and the digest of its body."""

    item: Item
    key: str | None
    body: str


class OnceTogether(Generic[Item]):
    """A change that requests which wait side by side make together; each is answered, and kept by its key, by itself.

    Args:
        make: for items in order the document of each, or its error; it leaves nothing of one that has an error.
        status: of the answers.
    """

    def __init__(
        self,
        make: Callable[[Connection, Sequence[Item]], Sequence[Any | ProteinxError]],
        *,
        status: int = 200,
    ) -> None:
        self._make, self._status = make, status

    async def answer(self, request: Request, caller: Caller, item: Item) -> Response:
        """Make the change and answer with its document; a repeated key is answered as before.

        Args:
            request: its `Idempotency-Key` header, if any, names the change.
            caller: keys of different callers do not meet.
            item: what is asked for.

        Raises:
            HttpProblem: 422 for a key that was used with another body, or is too long.
        """
        key = _key_of(request, caller)
        body = "" if key is None else hashlib.sha256(await request.body()).hexdigest()
        database = master_of(request).database
        status, text = await database.awrite_together(self._all, _Asked(item, key, body))
        return Response(text, status, media_type="application/json")

    def _all(
        self, connection: Connection, asked: Sequence[_Asked[Item]]
    ) -> list[tuple[int, bytes] | ProteinxError]:
        keys = [one.key for one in asked if one.key is not None]
        if len(set(keys)) < len(keys):
            raise _SameKeyTwice
        kept = _kept(connection, keys)
        fresh = [one for one in asked if one.key not in kept]
        documents = self._make(connection, [one.item for one in fresh]) if fresh else ()
        made = [
            each if isinstance(each, ProteinxError) else (self._status, as_json(each)) for each in documents
        ]
        _keep(connection, list(zip(fresh, made, strict=True)))
        following = iter(made)
        return [_as_before(one, kept[one.key]) if one.key in kept else next(following) for one in asked]


class _SameKeyTwice(Exception):
    """Two requests with one key wait side by side: each is made alone, in order."""


async def once(
    request: Request, caller: Caller, change: Callable[[Connection], Any], *, status: int = 200
) -> Response:
    """Make a change and answer with its document; a repeated key is answered as before.

    Args:
        request: its `Idempotency-Key` header, if any, names the change.
        caller: keys of different callers do not meet.
        change: returns the document of the answer.
        status: of the answer.

    Raises:
        HttpProblem: 422 for a key that was used with another body, or is too long.
    """
    return await OnceTogether[None](lambda connection, _: [change(connection)], status=status).answer(
        request, caller, None
    )


def _key_of(request: Request, caller: Caller) -> str | None:
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not 0 < len(given) <= LONGEST_KEY or not given.isprintable():
        raise HttpProblem(
            422, "bad_idempotency_key", f"`Idempotency-Key` has 1 to {LONGEST_KEY} printable characters."
        )
    return "\n".join((caller.name, request.method, request.url.path, given))


def _kept(connection: Connection, keys: Sequence[str]) -> dict[str | None, Any]:
    if not keys:
        return {}
    return {row.key: row for row in connection.execute(select(answers).where(answers.c.key.in_(keys)))}


def _as_before(asked: _Asked[Any], kept: Any) -> tuple[int, bytes] | ProteinxError:
    if kept.body_sha256 == asked.body:
        return kept.status, kept.answer.encode("utf-8")
    key = str(asked.key).rsplit("\n", 1)[1]
    return HttpProblem(
        422,
        "idempotency_key_reused",
        f"The key {key[:60]!r} was used with another body. Take a new key for a new request.",
    )


def _keep(
    connection: Connection, answered: Sequence[tuple[_Asked[Any], tuple[int, bytes] | ProteinxError]]
) -> None:
    now = timestamp()
    rows = [
        {
            "key": asked.key,
            "body_sha256": asked.body,
            "status": found[0],
            "answer": found[1].decode(),
            "at": now,
        }
        for asked, found in answered
        if asked.key is not None and not isinstance(found, ProteinxError)
    ]
    if rows:
        connection.execute(insert(answers), rows)
