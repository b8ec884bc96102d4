"""Makes the next item of an iterator in a thread while the caller is busy with the last one.

For work that lets other threads run, as Arrow, NumPy and SQLite do.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def one_ahead(items: Iterator[_T]) -> Iterator[_T]:
    """The same items in the same order; at most two of them exist at a time.

    An exception of `items` arrives where its item would have.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
