"""Lists as pages: the parameters that every one of them takes, and the page of a list that is read whole."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

LARGEST = 1000
"""Most items on a page; the size of a page of lists that are short as a rule."""
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Number of the page, from 1")]
Size = Annotated[int, Query(ge=1, le=LARGEST, description="Most items on a page")]


def page_of(items: Sequence[Any], page: int, size: int) -> dict[str, Any]:
    """The document of a page of a list; one beyond the end has no items."""
    shown = list(items[(page - 1) * size : page * size])
    return {"items": shown, "total": len(items), "page": page, "size": size}
