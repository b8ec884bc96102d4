"""`proteinx cancel`: the Master's way, and the way without Redis."""

import threading
import time

import pytest

from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation
from proteinx_pipelines.queue.queue import connect


def test_the_request_lies_where_the_masters_would(proteinx, history, monkeypatch):
    monkeypatch.setattr("proteinx_pipelines.services.cancelling.WAIT_S", 0.0)
    history.begin("gb1-a")
    printed = proteinx("cancel", "gb1-a").output
    assert connect(history.settings.redis_url).lrange("experiments:cancel", 0, -1) == [b"gb1-a"]
    assert "will be cancelled" in printed


def test_it_waits_until_the_node_has_stopped_it(proteinx, history):
    current = history.begin("gb1-a")

    def node() -> None:
        time.sleep(0.4)
        finish_generation(
            history.settings, history.state, current, Outcome("CANCELLED", "cancelled", "Asked for.")
        )

    thread = threading.Thread(target=node)
    thread.start()
    assert "gb1-a is CANCELLED." in proteinx("cancel", "gb1-a").output
    thread.join()


def test_without_redis_the_wish_is_kept_in_the_nodes_own_database(proteinx, history, monkeypatch):
    monkeypatch.setattr("proteinx_pipelines.services.cancelling.WAIT_S", 0.0)
    history.begin("gb1-a")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    proteinx("cancel", "gb1-a")
    assert history.state.latest("gb1-a").cancel_requested


@pytest.mark.parametrize(
    ("name", "said"), [("gb1-e", "has ended already: it is SUCCEEDED"), ("gb1-x", "no experiment")]
)
def test_what_cannot_be_cancelled_is_said(proteinx, history, name, said):
    history.end("gb1-e")
    assert said in proteinx("cancel", name, expect=1).output
