"""Waiting for a message that was sent: the node's decision, the stages as they run, the end."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from proteinx_pipelines.contract.request import ExperimentRequest
    from proteinx_pipelines.services.ports import Lives
    from proteinx_pipelines.services.submitting import Decision
    from proteinx_pipelines.settings import Settings

NO_NODE_AFTER_S = 3.0
"""How long a message may lie on the list before we look whether a node is there at all, in seconds."""


def wait_for(settings: "Settings", request: "ExperimentRequest") -> int:
    """Show an experiment until it has ended; the exit code."""
    from proteinx_pipelines.cli.outcome import show_result
    from proteinx_pipelines.cli.watching import watch
    from proteinx_pipelines.services.submitting import follow
    from proteinx_pipelines.state.store import StateStore

    lives = StateStore(settings.state_path)
    try:
        decision = _await_decision(settings, lives, request)
        result = decision.refusal
        if decision.accepted:
            found = follow(lives, str(decision.experiment_id), decision.generation or 1)
            result = lives.result(watch(found, request.experiment_id).result_id or "")
    except KeyboardInterrupt:
        click.echo(
            f"\nNot waiting any longer; {request.experiment_id} goes on. `proteinx cancel` would stop it."
        )
        return 130
    assert result is not None  # stored in the same transaction as the verdict
    return show_result(settings, result)


def _await_decision(settings: "Settings", lives: "Lives", request: "ExperimentRequest") -> "Decision":
    """The node's verdict about a message: accepted or refused."""
    from proteinx_pipelines.node.service_ports import NodeQueue
    from proteinx_pipelines.services.submitting import await_decision

    found = await_decision(lives, request, NO_NODE_AFTER_S)
    if found is None and not NodeQueue(settings).is_heard():
        click.echo(no_node(settings, request), err=True)
    decision = found or await_decision(lives, request)
    assert decision is not None  # no limit was given
    return decision


def no_node(settings: "Settings", request: "ExperimentRequest") -> str:
    """That nobody takes the message now, and what to do."""
    return (
        f"{request.experiment_id} is on the list, and no node {settings.node_name} takes messages now. "
        "Start it with `proteinx up`; the message waits."
    )
