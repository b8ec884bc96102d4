"""One round of dispatch: nodes, results, lost nodes, cancels, assignment, sending, answers.

Each step reads what there is to do, acts on Redis and the database in the order that a SIGKILL between the two leaves
harmless, and can be repeated. The database decides; Redis is the wire.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.contract.heartbeat import ALIVE_FOR_S
from proteinx_pipelines.master.database.facts import is_paused
from proteinx_pipelines.master.database.job_tables import dispatches, jobs
from proteinx_pipelines.master.database.reading import Row, first, rows
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch import changes, direct
from proteinx_pipelines.master.dispatch.answering import answer, deliver_lost
from proteinx_pipelines.master.dispatch.assigning import Assigner, Choice
from proteinx_pipelines.master.dispatch.counting import Arrived, Verdict, count
from proteinx_pipelines.master.dispatch.job_display import JobDisplay
from proteinx_pipelines.master.dispatch.lending import Lendings, lend
from proteinx_pipelines.master.dispatch.looks import Looks
from proteinx_pipelines.master.dispatch.messages import message_id, message_of_job
from proteinx_pipelines.master.dispatch.node_watch import NodeWatch
from proteinx_pipelines.master.dispatch.statuses import Report, open_jobs
from proteinx_pipelines.master.dispatch.wire import MASTER, Wire
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.nodes import registry
from proteinx_pipelines.master.settings import MasterSettings

log = logging.getLogger(__name__)
RECALL_S = 1.0
"""Seconds between two looks at the jobs of lost nodes."""
NUDGE_S = 5.0
"""Seconds between two searches for jobs whose message may have got lost."""
UNHEARD_S = 10.0
"""Seconds without a sign that a node has accepted a job, after which its message is looked for."""
SILENT_S = 60.0
"""The same for an accepted job of which nothing was heard since."""
CANCEL_AGAIN_S = 20.0
"""Seconds after which a cancel that has not ended its job is asked for again."""
COMPARE_S = 5.0
"""Seconds between two checks that Redis still has the last answers."""
CANCELS_S = 0.3
"""Seconds between two looks at the list of cancels."""
ALL_RESULTS_S = 1.0
"""Seconds between two looks at the results of nodes that have no job."""
_ANY_OPEN = select(jobs.c.job_id).where(jobs.c.state.in_(("WAITING", *ON_A_NODE))).limit(1)
_ANY_WAITING = select(jobs.c.job_id).where(jobs.c.state == "WAITING").limit(1)


@dataclass
class Dispatcher:
    """Works on one database and one Redis; one thread calls it."""

    settings: MasterSettings
    database: Database
    wire: Wire
    alive_for_s: float = ALIVE_FOR_S
    """Life of a heartbeat, in seconds."""
    is_busy: bool = False
    """True if a node has a job."""
    _busy: frozenset[str] = frozenset()
    """Nodes that have jobs."""
    _none_waits: bool = False
    _none_open: bool = False

    def __post_init__(self) -> None:
        self.looks = Looks(self.database)
        self.watch = NodeWatch(self.database, self.wire, self.looks, self.alive_for_s)
        self.display = JobDisplay(self.database, self.wire, self.looks)
        self.assigner = Assigner(
            self.settings.slots, self.settings.lease_s, has_store=self.settings.node.store is not None
        )
        self.lendings = Lendings(self.database, self.wire, self.looks, self.watch, self.assigner)
        self.reconnected()

    def round(self) -> bool:
        """Do what there is to do; true if something was done.

        Raises:
            QueueUnavailable: Redis does not answer; call it again.
        """
        self.watch.look_at_nodes()
        worked = self.take_results()
        self.recall()
        self.take_cancels()
        if self.is_busy and self.looks.is_news("cancels to pass on"):
            worked = self.pass_on_cancels() or worked
        self.lendings.look()
        assigned = self.assign()
        if assigned or (self.is_busy and self.looks.is_news("unsent")):
            worked = self.send() or worked or assigned
        if self.looks.is_news("answers"):
            worked = bool(answer(self.database, self.wire)) or worked
        self.display.note_reports(is_busy=self.is_busy)
        self.nudge()
        self.display.show_positions()
        if self.looks.is_due("compare", COMPARE_S):
            deliver_lost(self.database, self.wire)
        return worked

    @property
    def is_quiet(self) -> bool:
        """True if no job waits and none is on a node."""
        if self.is_busy:
            return False
        if self.looks.is_news("open"):
            with self.database.reading() as connection:
                self._none_open = connection.execute(_ANY_OPEN).first() is None
        return self._none_open

    def reconnected(self) -> None:
        """Redis was away: heartbeats could not be renewed, so that their absence says nothing for a while."""
        self.watch.reconnected()
        self.looks.due.clear()

    def hear(self, reports: list[Report]) -> None:
        """Take reports of nodes, to be written in a later round."""
        self.display.reports += reports

    # ------------------------------------------------------------------ results
    def take_results(self) -> bool:
        """Count the results of every node that has jobs; now and then of all nodes."""
        names = [node.name for node in self.watch.nodes]
        if self.looks.is_news("busy"):
            with self.database.reading() as connection:
                self._busy = frozenset(node for node, _ in open_jobs(connection))
        self.is_busy = bool(self._busy)
        if not self.looks.is_due("results", ALL_RESULTS_S):
            names = [name for name in names if name in self._busy]
        found = self.wire.results(names)
        for node, raws in found.items():
            arrived = [Arrived.read(node, raw) for raw in raws]
            verdicts = self.database.write(partial(_count, arrived=arrived))
            for each, verdict in zip(arrived, verdicts, strict=True):
                self._after(each, verdict)
            self.wire.drop_results(node, raws)
        return bool(found)

    def _after(self, arrived: Arrived, verdict: Verdict) -> None:
        document = arrived.document or {}
        if verdict == "counted":
            self._note_time(arrived.node, document)
        elif verdict == "foreign":  # from before the node had a Master: its sender waits on the usual list
            self.wire.line(arrived.node).deliver(document["result_id"], 1, arrived.raw.decode("utf-8"))
        elif verdict == "late":
            log.warning("A late result of %s from %s counts nothing.", document["message_id"], arrived.node)

    def _note_time(self, node: str, document: Mapping[str, Any]) -> None:
        if document["started_at"] is not None:
            began, ended = (datetime.fromisoformat(document[name]) for name in ("started_at", "finished_at"))
            self.assigner.last_took_s[node] = (ended - began).total_seconds()

    # ------------------------------------------------------------------ lost nodes
    def recall(self) -> None:
        """Let jobs of lost nodes wait again: unclaimed ones at once, claimed ones when the lease has ended."""
        if not self.looks.is_due("recall", RECALL_S) or not self.is_busy:
            return
        lost = {node.name: node for node in self.watch.nodes if node.is_lost}
        for row in self._rows(jobs.c.node.in_(lost)) if lost else ():
            node = lost[row["node"]]
            if self._is_unclaimed(row):
                outcome, reason = changes.RECALLED, f"node {node.name} was lost before it had begun"
            elif row["cancel_requested"] or registry.seconds_since(node.lost_at) > self.settings.lease_s:
                outcome, reason = changes.LOST, f"node {node.name} was lost with it"
            else:
                continue
            self.database.write(partial(changes.give_back, row=row, outcome=outcome, reason=reason))

    def _is_unclaimed(self, row: Mapping[str, Any]) -> bool:
        """True if nobody has a job: its message could be taken off the list again."""
        return self.wire.take_back(row["node"], message_id(row["job_id"], row["token"]))

    # ------------------------------------------------------------------ cancels
    def pass_on_cancels(self) -> bool:
        """Ask nodes to cancel their jobs; one that its node has not claimed ends here."""
        worked = False
        for row in self._rows(jobs.c.cancel_requested, jobs.c.sent):
            if registry.seconds_since(row["cancel_sent_at"]) < CANCEL_AGAIN_S:
                continue
            worked = True
            if self._is_unclaimed(row):
                self.database.write(partial(changes.end_cancelled, row=row, reason=changes.CANCELLED_BEFORE))
                continue
            self.wire.ask_to_cancel(row["node"], row["experiment_id"])
            self.database.write(partial(changes.note_cancel_sent, job_id=row["job_id"], token=row["token"]))
        return worked

    def take_cancels(self) -> None:
        """Take the cancels of programs that know only Redis.

        One that names nothing open stays while messages wait: it may have overtaken its experiment.
        """
        if not self.looks.is_due("cancels", CANCELS_S):
            return
        line = self.wire.line()
        asked = line.cancel_requests()
        if not asked:
            return
        matched = self.database.write(lambda connection: direct.cancel(connection, asked))
        is_arriving = bool(
            self.wire.client.llen(self.wire.keys.messages)
            or self.wire.client.llen(self.wire.keys.claimed(MASTER))
        )
        for text in asked:
            if text in matched or not is_arriving:
                line.cancel_taken(text)

    # ------------------------------------------------------------------ assignment
    def assign(self) -> bool:
        """Give waiting jobs to nodes with a free slot."""
        if not any(node.takes_jobs for node in self.watch.nodes):
            return False
        if not self.looks.is_news("waiting") and self._none_waits:
            return False
        with self.database.reading() as connection:
            self._none_waits = connection.execute(_ANY_WAITING).first() is None
            if self._none_waits or is_paused(connection):
                return False
            choices = self.assigner.choices(connection, self.watch.nodes)
        if not choices:
            return False
        self.database.write(lambda connection: _assign(connection, choices))
        if any(choice.others for choice in choices):
            self.looks.due.pop("lent", None)
            self.lendings.look()
        for choice in choices:
            if choice.old_node is not None:
                self._stop_elsewhere(choice)
        return True

    def _stop_elsewhere(self, choice: Choice) -> None:
        """Ask a node that was given up to stop a job that another one has now."""
        with self.database.reading() as connection:
            row = first(connection, select(jobs).where(jobs.c.job_id == choice.job_id))
        if row is not None and row["node"] == choice.node and choice.old_node is not None:
            self.wire.ask_to_cancel(choice.old_node, row["experiment_id"])

    # ------------------------------------------------------------------ sending
    def send(self) -> bool:
        """Push the messages of assigned jobs. One that a crash has pushed already is answered by its node once."""
        unsent = self._rows(~jobs.c.sent)
        for row in unsent:
            self._push(row)
        return bool(unsent)

    def _push(self, row: Mapping[str, Any]) -> None:
        with self.database.reading() as connection:
            was_there = _was_given_before(connection, row)
        if row["token"] > 1:
            self.wire.forget_cancel(row["node"], row["experiment_id"])
        message = message_of_job(row, may_repeat=was_there or row["retry_of"] is not None)
        self.wire.push(row["node"], message)
        self.database.write(lambda connection: changes.note_sent(connection, row["job_id"], row["token"]))

    def nudge(self) -> None:
        """Send again what may have got lost: Redis may have come back with an older state, a node with none."""
        if not self.looks.is_due("nudge", NUDGE_S) or not self.is_busy:
            return
        alive = [node.name for node in self.watch.nodes if not node.is_lost and node.queue is not None]
        for row in self._rows(jobs.c.sent, jobs.c.node.in_(alive)) if alive else ():
            limit = UNHEARD_S if row["generation"] is None else SILENT_S
            silent = min(map(registry.seconds_since, (row["sent_at"], row["updated_at"])))
            if silent > limit and not self.wire.holds(row["node"], message_id(row["job_id"], row["token"])):
                self._push(row)

    # ------------------------------------------------------------------ reading
    def _rows(self, *where: Any) -> list[Row]:
        """Rows of jobs that a node has."""
        with self.database.reading() as connection:
            query = select(jobs).where(jobs.c.state.in_(ON_A_NODE), *where).order_by(jobs.c.assigned_at)
            return rows(connection, query)


def _count(connection: Connection, arrived: list[Arrived]) -> list[Verdict]:
    return [count(connection, each) for each in arrived]


def _assign(connection: Connection, choices: list[Choice]) -> None:
    if is_paused(connection):  # since the choices were made
        return
    for choice in choices:
        if choice.duplicate_of is not None:
            direct.refuse_duplicate(connection, choice.job_id, choice.duplicate_of)
        elif choice.node is None:
            changes.note_blocked(connection, choice.job_id, choice.reason, choice.blocked_by)
        else:
            token = changes.assign(connection, choice.job_id, choice.node, reason=choice.reason)
            if token is not None:
                lend(connection, choice.others, choice.job_id, token)


def _was_given_before(connection: Connection, row: Mapping[str, Any]) -> bool:
    """True if the node was given this job under an earlier token."""
    query = select(dispatches.c.token).where(
        dispatches.c.job_id == row["job_id"],
        dispatches.c.node == row["node"],
        dispatches.c.token < row["token"],
    )
    return connection.execute(query).first() is not None
