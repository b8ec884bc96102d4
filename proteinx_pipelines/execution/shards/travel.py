"""Serialisation of work and tasks on their way to a worker, which reads them only after it has proved its versions.

`multiprocessing` and Dask pickle everything that they send. Pickling here first sends a large work once to each worker,
and keeps workers with other versions of the classes from reading it. The bytes are never stored.
"""

from multiprocessing.reduction import ForkingPickler
from typing import Any


def packed(what: object) -> bytes:
    """What is sent, as bytes."""
    return bytes(ForkingPickler.dumps(what))


def unpacked(content: bytes) -> Any:
    """What was sent. Only a worker calls it, with what its own node or scheduler gave it."""
    return ForkingPickler.loads(content)
