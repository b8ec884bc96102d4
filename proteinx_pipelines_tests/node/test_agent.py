"""What the agent tells of the queue, and the word that the supervisor has for it."""

from dataclasses import replace
from pathlib import Path

from proteinx_pipelines.inbox.queue import connect
from proteinx_pipelines.node.agent import Agent
from proteinx_pipelines.node.nudge import ask_to_reconcile, was_asked_to_reconcile
from proteinx_pipelines_tests.node.world import World


def accept(world: World, experiment_id: str, priority: int = 0, *, again: bool = False) -> None:
    run = ', "run": {"allow_duplicate": true}' if again else ""
    text = f'"flags": {{"data": {{"source": "GB1"}}{run}}}, "priority": {priority}'
    world.intake.ingest(f'{{"experiment_id": "{experiment_id}", {text}}}'.encode())


def test_positions_are_those_in_which_the_node_will_run_them(world: World) -> None:
    """What is launched already keeps its place: a higher priority that comes later was shown as the next one."""
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
