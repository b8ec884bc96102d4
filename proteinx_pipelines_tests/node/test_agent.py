"""The agent's reports about the queue, and the supervisor's request to it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S, GpuUsage, Heartbeat
from proteinx_pipelines.contract.keys import NodeKeys
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.node.lifecycle import capabilities as publishing
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.node.talking.reconcile_request import ask_to_reconcile, was_asked_to_reconcile
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.node.world import World


def accept(world: World, experiment_id: str, priority: int = 0, *, again: bool = False) -> None:
    run = ', "run": {"allow_duplicate": true}' if again else ""
    text = f'"flags": {{"data": {{"source": "GB1"}}{run}}}, "priority": {priority}'
    world.intake.ingest(f'{{"experiment_id": "{experiment_id}", {text}}}'.encode())


def test_positions_are_those_in_which_the_node_will_run_them(world: World) -> None:
    """A launched experiment keeps its place: once, a later one of higher priority was shown as the next."""
    for name in ("launched", "low"):
        accept(world, name)
    world.state.attach_run(world.latest("launched"), "run-1")
    accept(world, "high", priority=5)
    accept(world, "low", again=True)
    assert Agent(world.settings, world.state, world.runs).beat()
    client = connect(world.settings.redis_url or "")
    found = {
        name: client.hget(f"experiments:status:{name}", "position") for name in ("launched", "high", "low")
    }
    assert found == {"launched": b"1", "high": b"2", "low": b"3"}


def test_a_word_that_cannot_be_left_does_not_end_the_supervisor(world: World, tmp_path: Path) -> None:
    """A full disk, or a folder that is gone: the agent looks by itself within seconds."""
    ask_to_reconcile(world.settings)
    assert was_asked_to_reconcile(world.settings)
    gone = replace(world.settings, workdir=tmp_path / "gone")
    ask_to_reconcile(gone)
    assert not was_asked_to_reconcile(gone)


def test_a_node_says_what_it_does_and_what_it_can_compute_with_as_long_as_it_lives(world: World) -> None:
    world.begin()
    settings = replace(world.settings, labels=("a100", "fast"))
    assert Agent(settings, world.state, world.runs).beat()
    client, keys = connect(settings.redis_url or ""), NodeKeys(settings.node_name)
    heartbeat = Heartbeat.model_validate_json(client.get(keys.heartbeat))
    assert (heartbeat.state, heartbeat.experiment_id, heartbeat.experiments) == ("busy", "e", {"RUNNING": 1})
    assert GpuUsage.model_validate_json(client.get(keys.gpu_usage)).memory_total_bytes
    capabilities = Capabilities.model_validate_json(client.get(keys.capabilities))
    assert {"ridge", "mlp"} <= set(capabilities.known_names.models)
    assert {"onehot", "esm2_t6_8M_UR50D"} <= set(capabilities.known_names.embedders)
    assert "spearman" in capabilities.metrics
    assert capabilities.labels == ("a100", "fast")
    assert all(0 < client.ttl(key) <= ALIVE_FOR_S for key in keys.all())
    kept = json.loads(settings.paths.capabilities.read_text(encoding="utf-8"))
    assert kept == capabilities.document()
    master_line(settings).stop_beating()
    assert not any(client.exists(key) for key in keys.all())


def test_a_checkpoint_that_is_on_the_node_is_published_as_being_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def weights() -> str:
        (found,) = [
            each for each in publishing.capabilities_of(world.settings, ()).embedders if "8M" in each.name
        ]
        return found.weights

    assert weights() == "absent"
    checkpoint = tmp_path / "hub" / "checkpoints" / "esm2_t6_8M_UR50D.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert weights() == "here"


def test_a_broken_plugin_takes_the_capabilities_away_and_not_the_heartbeat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise PluginError("the plugin `lab` cannot be loaded")

    agent, keys = Agent(world.settings, world.state, world.runs), NodeKeys(world.settings.node_name)
    assert agent.beat()
    monkeypatch.setattr(publishing, "known_here", broken)
    client = connect(world.settings.redis_url or "")
    client.delete(keys.capabilities)  # what an earlier heartbeat left ends by itself
    assert agent.beat()
    assert client.exists(keys.heartbeat)
    assert not client.exists(keys.capabilities)
    assert not world.settings.paths.capabilities.exists()
