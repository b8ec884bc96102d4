"""Waits for a sent message: the node's decision, the stages as they run, the end."""

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.json_output import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proteinx_pipelines.contract.request import ExperimentRequest
    from proteinx_pipelines.services.submitting import Decision
    from proteinx_pipelines.settings import Settings

NO_NODE_AFTER_S = 3.0
"""Seconds a message may lie on the list before the presence of a node is checked."""
REPLY_S = 15.0
"""Seconds that a Master has to pass on a result that the node has recorded."""
DECISION_S = 15.0
"""Seconds that `submit` waits for the node's decision, which is quick unless the node is very busy."""


def report_decision(settings: "Settings", request: "ExperimentRequest", *, as_json: bool = False) -> int:
    """Wait for the node's decision about a message and print it; returns the exit code, 1 when it was refused."""
    from proteinx_pipelines.cli.outcome import show_result
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, find_lives
    from proteinx_pipelines.services.submitting import await_decision

    queue, decision = NodeQueue(settings), None
    heard = queue.is_heard()
    if heard:
        with contextlib.suppress(KeyboardInterrupt):
            decision = await_decision(partial(find_lives, settings), queue, request, DECISION_S)
    refused = decision is not None and not decision.accepted
    if refused:
        _drop_reply(settings, request)
    if as_json:
        print_json(_decision_document(request, decision, heard=heard))
    elif decision is None:
        name = request.experiment_id
        said = f"{name} is on the list and not yet decided." if heard else no_node(settings, request)
        click.echo(f"{said} See it with `proteinx show {name}`.")
    elif decision.accepted:
        click.echo(f"Submitted {request.experiment_id}. See it with `proteinx show {request.experiment_id}`.")
    else:
        assert decision.result is not None  # a refusal is a result too
        return show_result(settings, decision.result)
    return int(refused)


def _decision_document(
    request: "ExperimentRequest", decision: "Decision | None", *, heard: bool
) -> dict[str, "Any"]:
    verdict = "undecided" if heard else "no node"
    if decision is not None:
        verdict = "accepted" if decision.accepted else "rejected"
    return {
        "experiment_id": request.experiment_id, "message_id": request.message_id, "verdict": verdict,
        "generation": decision.generation if decision else None, "result": decision.result if decision else None,
    }  # fmt: skip


def wait_for(settings: "Settings", request: "ExperimentRequest", *, as_json: bool = False) -> int:
    """Show an experiment until it ends; returns the exit code. With --json prints only its result, as sent."""
    from proteinx_pipelines.cli.outcome import show_result

    try:
        result = _until_it_ends(settings, request, _decision(settings, request), quiet=as_json)
    except KeyboardInterrupt:
        click.echo(
            f"\nNot waiting any longer; {request.experiment_id} goes on. `proteinx cancel` would stop it.",
            err=True,
        )
        return 130
    _drop_reply(settings, request)
    if as_json:
        print_json(result)
        return int(result["status"] != "SUCCEEDED")
    return show_result(settings, result)


def no_node(settings: "Settings", request: "ExperimentRequest") -> str:
    """Text that no node takes the message now, with a remedy."""
    return (
        f"{request.experiment_id} is on the list, and no node {settings.node_name} takes messages now. "
        "Start it with `proteinx up`; the message waits."
    )


def _decision(settings: "Settings", request: "ExperimentRequest") -> "Decision":
    """The node's verdict about a message: accepted or refused."""
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, find_lives
    from proteinx_pipelines.services.submitting import await_decision

    queue, lives = NodeQueue(settings), partial(find_lives, settings)
    found = await_decision(lives, queue, request, NO_NODE_AFTER_S)
    if found is None and not queue.is_heard():
        click.echo(no_node(settings, request), err=True)
    is_decided = found is not None and found.is_final
    decision = found if is_decided else await_decision(lives, queue, request)
    assert decision is not None  # no limit was given
    return decision


def _until_it_ends(
    settings: "Settings", request: "ExperimentRequest", decision: "Decision", *, quiet: bool
) -> "Mapping[str, Any]":
    """Show the stages of an accepted message; returns the result document."""
    from proteinx_pipelines.cli.watching import watch
    from proteinx_pipelines.node.lifecycle.service_ports import find_lives
    from proteinx_pipelines.services.submitting import follow

    lives = find_lives(settings)
    if decision.result is not None:
        return decision.result
    assert lives is not None  # the decision has just shown that the message was accepted
    states = follow(lives, str(decision.experiment_id), decision.generation or 1)
    ended = list(states)[-1] if quiet else watch(states, request.experiment_id)
    if decision.job_id is not None and (answer := _reply(settings, request)) is not None:
        return answer
    result = lives.result(ended.result_id or "")
    assert result is not None  # stored in the same transaction as the end
    return result


def _reply(settings: "Settings", request: "ExperimentRequest") -> "Mapping[str, Any] | None":
    """The result as a Master sends it to this sender, a moment after the node has recorded it."""
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue

    end = time.monotonic() + REPLY_S
    while request.reply_to is not None and time.monotonic() < end:
        try:
            found = NodeQueue(settings).take_reply(request.reply_to)
        except QueueUnavailable:
            return None
        if found is not None:
            return found
        time.sleep(0.05)
    return None


def _drop_reply(settings: "Settings", request: "ExperimentRequest") -> None:
    """Take the answer off this sender's own list after showing it. It arrives a moment after it is recorded."""
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue

    end = time.monotonic() + 1.0
    try:
        while request.reply_to and NodeQueue(settings).take_reply(request.reply_to) is None:
            if time.monotonic() > end:
                return
            time.sleep(0.05)
    except QueueUnavailable:
        return  # the list expires by itself
