"""Prefetch the next item of an iterator in a thread while the caller processes the current one.

For work that releases the interpreter lock, as in Arrow, NumPy and SQLite.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def one_ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the same items in the same order; at most two of them exist at a time.

    An exception of `items` is raised in place of its item.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
