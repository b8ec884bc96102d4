"""`Idempotency-Key`: the same request, sent again, gets the same answer and changes nothing.

The answer is written in the transaction of the change, so that a crash between them cannot happen.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import answers
from proteinx_pipelines.master.http.access import Caller, master_of
from proteinx_pipelines.master.http.problems import HttpProblem

LONGEST_KEY = 255


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
    database = master_of(request).database
    given = request.headers.get("idempotency-key")
    if given is None:
        return JSONResponse(jsonable_encoder(await database.awrite(change)), status)
    if not 0 < len(given) <= LONGEST_KEY or not given.isprintable():
        raise HttpProblem(
            422, "bad_idempotency_key", f"`Idempotency-Key` has 1 to {LONGEST_KEY} printable characters."
        )
    key = "\n".join((caller.name, request.method, request.url.path, given))
    body = hashlib.sha256(await request.body()).hexdigest()

    def keyed(connection: Connection) -> tuple[int, str]:
        row = connection.execute(select(answers).where(answers.c.key == key)).one_or_none()
        if row is not None:
            if row.body_sha256 != body:
                raise HttpProblem(
                    422,
                    "idempotency_key_reused",
                    f"The key {given[:60]!r} was used with another body. Take a new key for a new request.",
                )
            return row.status, row.answer
        text = json.dumps(jsonable_encoder(change(connection)), ensure_ascii=False)
        values = {"key": key, "body_sha256": body, "status": status, "answer": text, "at": timestamp()}
        connection.execute(insert(answers).values(**values))
        return status, text

    code, text = await database.awrite(keyed)
    return Response(text, code, media_type="application/json")
