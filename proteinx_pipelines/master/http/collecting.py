"""Python's collector of cycles, kept from stopping the server.

A full collection looks at every object of the process. The program itself is most of them, never becomes garbage, and
takes a third of a second to walk through, in which no request is answered: one came every few hundred jobs. What is
there when the server starts is therefore left out; what requests make is collected as before.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (10_000, 10, 10)
"""New objects that begin a collection; each 10th and 100th of these looks at older ones too. Python's own 700 would
begin one for every few jobs that come in."""


@contextmanager
def program_left_out() -> Iterator[None]:
    """Leave what exists now out of collections while the block lasts."""
    before = gc.get_threshold()
    gc.collect()  # what is left out is never freed
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
