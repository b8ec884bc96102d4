"""Work and tasks as bytes, on their way to a worker: read there only after it has proved its versions, never kept.

`multiprocessing` and Dask pickle whatever they send; doing it here lets a large work travel once a worker, and lets
nothing be read by a worker with other classes.
"""

from multiprocessing.reduction import ForkingPickler
from typing import Any


def packed(what: object) -> bytes:
    """What is sent, as bytes."""
    return bytes(ForkingPickler.dumps(what))


def unpacked(content: bytes) -> Any:
    """What was sent. Only a worker calls it, with what its own node or scheduler gave it."""
    return ForkingPickler.loads(content)
