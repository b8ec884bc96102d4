"""Delivers results from `state.db` to the Master's list, in order, until they are there, and again if they get lost.

Redis may come back with an older state, or empty. Lost results are found by the markers beside the results
(`MasterLine.deliver`): each marker rolls back together with its result.
"""

import logging
from typing import Any

from proteinx_pipelines.clock import timestamp_before
from proteinx_pipelines.errors import QueueUnavailable, WrongKeyType
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.node.talking.status import publish_state
from proteinx_pipelines.node.talking.still_claimed import still_claimed
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
PAGE = 100
"""Most results read from `state.db` at once."""
COMPARED = 200
"""Number of the last deliveries that are compared with Redis; more than one call of `deliver_results` makes."""
REMEMBERED_S = 7 * 24 * 3600.0
"""Age, in seconds, up to which a result that Redis has lost is delivered again."""
MARKED_S = REMEMBERED_S + 24 * 3600.0
"""Age in seconds up to which Redis keeps the marker of a delivery: longer, or old results would seem to be lost."""


def deliver_results(settings: Settings, state: Ledger) -> int:
    """Push what has not been delivered; the number pushed. An unreachable Redis leaves the rest for later.

    So does a message that is decided and not acknowledged: all wait for it, since results stay in order.
    An unusable list (a key of another type) blocks its own results and nothing else.
    """
    pushed = 0
    try:
        # Before anything new: the search for lost deliveries looks only behind the newest one.
        if state.undelivered(limit=1):
            pushed += _deliver_lost(settings, state)
        after, unusable = 0, set[str | None]()
        while rows := state.undelivered(limit=PAGE, after=after):
            if still_claimed(settings).keeps_back(state):
                break
            for row in rows:
                if row.reply_to not in unusable:
                    pushed += _deliver(settings, state, row, unusable)
            if len(rows) < PAGE:
                break
            after = rows[-1].sequence
    except QueueUnavailable as error:
        log.warning("Results stay on disk until Redis is back: %s", error)
    return pushed


def _deliver(settings: Settings, state: Ledger, row: Any, unusable: set[str | None]) -> int:
    """Push the owed copies of one result; a list that turns out to be unusable is added to `unusable`."""
    pushed = 0
    try:
        for copy in range(row.delivered + 1, row.wanted + 1):
            master_line(settings).deliver(row.result_id, copy, row.payload, row.reply_to)
            state.delivered(row.result_id, copy)
            pushed += 1
    except WrongKeyType as error:
        log.warning("%s", error)
        unusable.add(row.reply_to)
    return pushed


def deliver_lost(settings: Settings, state: Ledger) -> int:
    """Push again results that Redis has lost; returns the number pushed. Costs one query while nothing is lost."""
    try:
        return _deliver_lost(settings, state)
    except QueueUnavailable as error:
        log.warning("What Redis has lost is looked for again when it is back: %s", error)
        return 0


def forget_deliveries(settings: Settings) -> int:
    """Remove the markers of deliveries that are not compared any more; returns how many."""
    return master_line(settings).forget_deliveries(timestamp_before(MARKED_S))


def _deliver_lost(settings: Settings, state: Ledger) -> int:
    line, since = master_line(settings), timestamp_before(REMEMBERED_S)
    last = state.delivered_last(COMPARED, since)
    if not any(line.missing([(row.result_id, row.delivered) for row in last])):
        return 0
    log.warning("Redis has come back with an older state; results that it has lost are delivered again.")
    after, pushed = 0, 0
    while rows := state.delivered_since(since, after):
        missing = line.missing([(row.result_id, row.delivered) for row in rows])
        lost = [row for row, is_missing in zip(rows, missing, strict=True) if is_missing]
        # Noted before they are pushed: a push whose reply is lost, or that another process sees before the note, would
        # answer the reappearing message once more.
        state.delivering_again([(row.result_id, row.delivered) for row in lost])
        for row in lost:
            if _is_back(line, row):
                _show_again(settings, state, row.experiment_id)
                pushed += 1
        after = rows[-1].sequence
    return pushed


def _is_back(line: MasterLine, row: Any) -> bool:
    try:
        return line.deliver(row.result_id, row.delivered, row.payload, row.reply_to)
    except WrongKeyType as error:
        log.warning("%s", error)
        return False


def _show_again(settings: Settings, state: Ledger, experiment_id: str | None) -> None:
    """Publish the state again: the status hash is as old as the rest of Redis."""
    current = state.latest(experiment_id) if experiment_id is not None else None
    if current is not None and current.is_terminal:
        publish_state(settings, current, "finished", error=current.error_code)
