"""One change that waits for the writer, and how those that wait side by side are made."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Item = TypeVar("Item")
Change = Callable[[Connection], T]
Changes = Callable[[Connection, Sequence[Item]], Sequence[T | Exception]]
"""A change for several items at once: the value of each in order, or its error. It leaves nothing of an item that has
an error."""


def always(_value: Any) -> bool:
    """Any value is news."""
    return True


@dataclass(frozen=True, eq=False)
class Asked:
    """A change that waits: `change` of its own, or `together` with those beside it."""

    change: Change[Any]
    together: Changes[Any, Any] | None = None
    item: Any = None
    is_news: Callable[[Any], bool] = always
    """Whether streams and dispatch are to be woken, by the change's value."""
    future: "Future[Any] | asyncio.Future[Any]" = field(default_factory=Future)
    """Of a caller in a thread, or of one in an event loop."""


def wanted(batch: list[Asked]) -> list[Asked]:
    """The changes whose callers still wait: a request that was broken off has cancelled its own."""
    return [asked for asked in batch if _is_wanted(asked.future)]


def _is_wanted(future: "Future[Any] | asyncio.Future[Any]") -> bool:
    if isinstance(future, Future):
        return future.set_running_or_notify_cancel()
    return not future.cancelled()


def tell(settled: Iterable[tuple[Asked, Any]]) -> None:
    """Give callers the value or the error of their changes; each event loop is woken once for all of its own."""
    of_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for asked, value in settled:
        if isinstance(asked.future, Future):
            _settle(asked.future, value)
        else:
            of_loops.setdefault(asked.future.get_loop(), []).append((asked.future, value))
    for loop, some in of_loops.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and everyone in it
            loop.call_soon_threadsafe(_settle_all, some)


def _settle_all(some: "list[tuple[asyncio.Future[Any], Any]]") -> None:
    for future, value in some:
        if not future.done():  # its caller may have gone meanwhile
            _settle(future, value)


def _settle(future: "Future[Any] | asyncio.Future[Any]", value: Any) -> None:
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)


def done(
    connection: Connection, together: Changes[Any, Any] | None, some: list[Asked]
) -> Iterator[tuple[Asked, Any]]:
    """Each change with its value or its error."""
    if together is not None and len(some) > 1:
        with contextlib.suppress(Exception):  # whose fault it is shows when each is made alone
            with connection.begin_nested():
                values = together(connection, [asked.item for asked in some])
            yield from zip(some, values, strict=True)
            return
    for asked in some:
        try:
            with connection.begin_nested():
                value = asked.change(connection)
        except BaseException as error:  # noqa: BLE001  # whoever asked gets it
            yield asked, error
        else:
            yield asked, value


def alone(connection: Connection, together: Changes[Item, T], item: Item) -> T:
    """The value of a change of several, made for one item; raises its error."""
    (value,) = together(connection, [item])
    if isinstance(value, Exception):
        raise value
    return value
