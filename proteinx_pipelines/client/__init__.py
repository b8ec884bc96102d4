"""Sends experiments and reads what came of them, from a machine that computes nothing.

    from proteinx_pipelines.client import Client

    with Client("http://master:8000", token="px_...") as client:
        job = client.run({"data.source": "GB1", "model.name": "ridge"})
        print(job.summary["test/spearman"])

A `redis://` address leads straight to the nodes of one queue, without a Master. Needs pydantic, and httpx2 or redis
for the addresses that it reaches. It knows the documents (`contract`) and nothing of what a node does with them.

    client.py         the client of a Master; `async_client.py` the same with `await`
    calls.py          what both ask, as data
    steps.py          what both do, step by step: try again, wait, page, sweep; they send and sleep
    http_link.py      how an answer becomes a document or an error
    sweeps.py         many experiments submitted as one
    tracking.py       training code of one's own as a job
    queue_client.py   the client of a queue
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proteinx_pipelines.client.async_client import AsyncClient as AsyncClient
    from proteinx_pipelines.client.client import Client as Client
    from proteinx_pipelines.client.queue_client import NodeView as NodeView
    from proteinx_pipelines.client.queue_client import QueueClient as QueueClient
    from proteinx_pipelines.client.queue_client import Submission as Submission

_PLACES = {
    "AsyncClient": "async_client",
    "Client": "client",
    "NodeView": "queue_client",
    "QueueClient": "queue_client",
    "Submission": "queue_client",
}
__all__ = ["AsyncClient", "Client", "NodeView", "QueueClient", "Submission"]


def __getattr__(name: str) -> Any:
    # Imported on first use: few commands need a client, and asyncio is a tenth of what they start with.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
