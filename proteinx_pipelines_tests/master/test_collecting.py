"""Collections of garbage leave the program out: a full one stopped the server for a third of a second."""

import dataclasses
import gc

import pytest

from proteinx_pipelines.master.http import server
from proteinx_pipelines.master.master import Master


def test_a_serving_master_does_not_walk_through_its_program(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Incident: every few hundred jobs a full collection took 0.33 s, and the slowest of a hundred as long."""
    seen = {}

    def run(_server, sockets):
        seen.update(left_out=gc.get_freeze_count(), looked_at=len(gc.get_objects()), begin=gc.get_threshold())

    before = gc.get_threshold()
    monkeypatch.setattr(server._Server, "run", run)
    bound = server.bind(dataclasses.replace(master.settings, port=0))
    server.serve(master, bound)
    bound.close()
    assert seen["left_out"] > 50_000
    assert seen["looked_at"] < seen["left_out"] / 20
    assert seen["begin"][0] > before[0]
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
