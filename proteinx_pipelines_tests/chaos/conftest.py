"""The node's own fixtures, for faults at the point of intake, and a server that can be killed and rolled back.

A node has no test switches of its own; a test reaches into its processes as follows:

- `CHAOS_EARLY` names modules that Python imports first in every process of the node (`early/sitecustomize.py`, with
  `early/` on PYTHONPATH): for the agent, the daemon, the run host, and modules read while the node starts.
- `PROTEINX_PLUGINS` names modules that the node loads itself: the worker does before it forks its step processes, the
  code server when it first checks flags. Used around the stages (`chaos_journal`, `chaos_stubborn`).
- Both kinds patch when they are imported, until their process ends; a fork inherits the patches of its parent. Both
  need `chaos/` on PYTHONPATH.
- A module that is early, but has something to patch that can be imported only later, leaves a function; a plugin finds
  it as `sys.modules["unguarded_..."]`, if the test has named it, and calls it.
- A script that a test starts (`crash`, `zombie`, `killed_saves`) takes its switches as arguments. All else happens in
  the process of the test, and is a monkeypatch.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterProcess, clean
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.node.conftest import intake, settings

__all__ = ["intake", "settings"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis-protocol server of this test's own, with an append-only file."""
    found = RedisServer(tmp_path / "redis")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def master(tmp_path: Path, server: RedisServer) -> Iterator[MasterProcess]:
    """A real Master on that server."""
    found = MasterProcess(tmp_path / "master", server, clean(os.environ))
    found.start()
    yield found
    found.kill()


@pytest.fixture
def nodes(tmp_path: Path, master: MasterProcess) -> Iterator[list[JoinedNode]]:
    """Two nodes of that Master, which are not started."""
    found = [JoinedNode.with_gb1(tmp_path / name, master.url) for name in ("left", "right")]
    yield found
    for node in found:
        node.kill()
