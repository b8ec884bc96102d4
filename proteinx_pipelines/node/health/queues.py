"""Checks the node's lists in Redis: claimed messages that wait, and keys of the wrong type."""

import time
from collections.abc import Iterator

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.ledger.engine import StateError
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.queue.addresses import has_address, redis_url
from proteinx_pipelines.queue.claimed import ClaimedMessage, QueueView
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings

MOMENT_S = 0.5
"""Seconds between two looks: a message decided between them had only just been claimed."""
_NAMED = 5


def check_queue(settings: Settings) -> Iterator[Finding]:
    """Keys of the wrong type, and messages that are claimed and not decided."""
    if not has_address(settings):
        return
    try:
        view = queue_view(settings)
        for key in view.unusable_keys(settings.node_name):
            text = f"`{key.key}` in Redis is a {key.found}, a {key.expected} is expected. Rename or delete it: what "
            yield Finding("queue", WRONG, text + "is meant for it waits.")
        yield from _check_claimed(settings, view)
    except QueueUnavailable:
        return  # reported by the check of the server


def undecided(settings: Settings) -> list[ClaimedMessage]:
    """Messages that the node of this WORKDIR has claimed, under any of its names, and not decided yet.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    if not has_address(settings):
        return []
    view = queue_view(settings)
    names = [settings.node_name, *_former_names(settings, view)]
    first = [message for name in names for message in view.claimed(name)]
    if not first:
        return []
    time.sleep(MOMENT_S)
    still = [message for name in names for message in view.claimed(name)]
    return [message for message in still if message in first]


def queue_view(settings: Settings) -> QueueView:
    """The lists of this node's queue."""
    return QueueView(connect(redis_url(settings)), settings.queue_name, settings.result_queue_name)


def in_words(messages: list[ClaimedMessage]) -> str:
    """`2 messages are claimed and not decided yet: a, b`."""
    names = [message.experiment_id or "one without a usable id" for message in messages]
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    verb = "message is" if len(messages) == 1 else "messages are"
    return f"{len(messages)} {verb} claimed and not decided yet: {shown}"


def _check_claimed(settings: Settings, view: QueueView) -> Iterator[Finding]:
    mine = undecided(settings)
    if mine:
        text = f"{in_words(mine)}. {settings.paths.part_log('code-server')} says why; they are looked at every 5 s "
        yield Finding("queue", WARNING, text + "while the node runs.")
    else:
        yield Finding("queue", OK, "no message is claimed and undecided")
    known = {settings.node_name, *(message.node for message in mine)}
    for name in view.nodes_with_claims():
        if name not in known and not view.is_at_work(name) and (left := view.claimed(name)):
            text = f"{in_words(left)}, by a node named {name!r} that is not at work. Start it again on its WORKDIR, "
            yield Finding(
                "queue", WARNING, text + f"or a node on any WORKDIR with PROTEINX_NODE_NAME={name}."
            )


def _former_names(settings: Settings, view: QueueView) -> list[str]:
    if not settings.state_path.is_file():
        return []
    try:
        names = Ledger(settings.state_path).known_names()
    except StateError:
        return []
    return [name for name in names if name != settings.node_name and not view.is_at_work(name)]
