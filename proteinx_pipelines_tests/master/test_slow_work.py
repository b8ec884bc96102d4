"""Slow work leaves the threads alone that everybody shares."""

import asyncio
import threading
from typing import Any

import httpx2 as httpx
import pytest

from proteinx_pipelines.master.http import models, nodes
from proteinx_pipelines.master.http.slow import AT_ONCE
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.experiments import new_job

AT_ONCE_ASKED = 45
"""More than the threads that an event loop shares on any machine, and those of routes."""
PREDICTION = "/api/models/m/predict", {"mutants": ["A1C"]}
JOIN = "/api/nodes/join", {"name": "n1"}


@pytest.mark.parametrize("question", [PREDICTION, JOIN], ids=["predictions", "nodes that join"])
def test_what_waits_holds_up_no_page_no_log_and_no_stream(
    served: str, master: Master, monkeypatch: pytest.MonkeyPatch, question: tuple[str, dict[str, Any]]
) -> None:
    """Incident: the Master seemed dead for a minute: six predictions had all threads, and everything else waited.

    Nodes that join do the same while Redis takes connections and says nothing.
    """
    release, begun = threading.Event(), threading.Semaphore(0)

    def wait(*_given: Any) -> None:
        begun.release()
        release.wait(300)

    monkeypatch.setattr(models, "find_model", lambda *_given: {"job_id": "j-model"})
    monkeypatch.setattr(models, "predict_now", lambda *_given: wait() or [])
    monkeypatch.setattr(nodes, "redis_url", lambda _settings: "redis://127.0.0.1:1/0")
    monkeypatch.setattr(nodes, "other_holder", wait)
    job_id = new_job(master, state="SUCCEEDED")

    async def ask() -> list[int]:
        many = httpx.Limits(max_connections=2 * AT_ONCE_ASKED)
        async with httpx.AsyncClient(base_url=served, timeout=120, limits=many) as client:
            path, body = question
            asked = [asyncio.create_task(client.post(path, json=body)) for _ in range(AT_ONCE_ASKED)]
            try:
                for _ in range(AT_ONCE):
                    assert await asyncio.to_thread(begun.acquire, timeout=60)
                answered = [await client.get(path) for path in (f"/api/jobs/{job_id}/logs", "/api/queue")]
                async with client.stream("GET", "/api/events?after=0") as stream:
                    events = stream.aiter_lines()
                    while "job.created" not in await anext(events):
                        pass
                assert not any(each.done() for each in asked)
            finally:
                release.set()
            answered += await asyncio.gather(*asked)
            return [each.status_code for each in answered]

    assert asyncio.run(ask()) == [200] * (AT_ONCE_ASKED + 2)
