"""Nodes that are lent to trainings: their rows, and the keys at which they read it.

A row ends with its job; a node that was lost is replaced by another that is idle, and lent again where there is none.
The key goes before the row: a crash between the two is repaired by the next look.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs, lent
from proteinx_pipelines.master.database.reading import Row, rows
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch.assigning import Assigner
from proteinx_pipelines.master.dispatch.crews import in_order
from proteinx_pipelines.master.dispatch.looks import Looks
from proteinx_pipelines.master.dispatch.node_watch import NodeWatch
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.jobs.states import ON_A_NODE
from proteinx_pipelines.master.nodes.node import Node

LOOK_S = 1.0
"""Seconds between two looks at what is lent."""
_ALL = select(
    lent.c.node.label("lender"), lent.c.job_id.label("of_job"), lent.c.token.label("of_token"),
    jobs.c.state, jobs.c.token, jobs.c.node, jobs.c.experiment_id, jobs.c.flags, jobs.c.needs, jobs.c.payload_ref,
).select_from(lent.outerjoin(jobs, jobs.c.job_id == lent.c.job_id)).order_by(lent.c.node)  # fmt: skip


def lend(connection: Connection, nodes: Iterable[str], job_id: str, token: int) -> None:
    """Lend nodes to the dispatch of a job."""
    for name in nodes:
        connection.execute(insert(lent).values(node=name, job_id=job_id, token=token, lent_at=timestamp()))
        events.record(connection, "node.lent", {"token": token}, job_id=job_id, node=name)


def give_back(connection: Connection, name: str, job_id: str) -> None:
    """End the lending of a node."""
    if connection.execute(delete(lent).where(lent.c.node == name, lent.c.job_id == job_id)).rowcount:
        events.record(connection, "node.returned", {}, job_id=job_id, node=name)


@dataclass
class Lendings:
    """What is lent now."""

    database: Database
    wire: Wire
    looks: Looks
    watch: NodeWatch
    assigner: Assigner
    _are_some: bool = True
    """False when nothing was lent at the last look."""

    def look(self) -> None:
        """End what is over, replace nodes that were lost, and renew the keys of the others."""
        if not self.looks.is_due("lent", LOOK_S) or not (self.looks.is_news("lendings") or self._are_some):
            return
        with self.database.reading() as connection:
            found = rows(connection, _ALL)
        self._are_some, self.assigner.kept_free = bool(found), frozenset()
        if not found:
            return
        for row in (row for row in found if _is_over(row)):
            self._end(row)
        present = {node.name: node for node in self.watch.nodes}
        going = [row for row in found if not _is_over(row)]
        lost = [row for row in going if row["lender"] not in present or present[row["lender"]].is_lost]
        if lost:
            self._replace(lost, present)
        for row in (row for row in going if row not in lost):
            first = present.get(row["node"])
            address = None if first is None or first.can is None else first.can.meeting
            if address is not None:
                told = Lending(experiment_id=row["experiment_id"], job_id=row["of_job"], address=address)
                self.wire.lend(row["lender"], told)

    def _end(self, row: Row) -> None:
        self.wire.give_back(row["lender"])
        self.database.write(lambda connection: give_back(connection, row["lender"], row["of_job"]))

    def _replace(self, lost: list[Row], present: Mapping[str, Node]) -> None:
        """Lend idle nodes in place of lost ones; while there are too few, those that would do get no further job."""
        with self.database.reading() as connection:
            room = self.assigner.room(connection, self.watch.nodes)
        wanted: set[str] = set()
        for row in lost:
            first = present.get(row["node"])
            choice = [] if first is None else in_order(row, first, room)
            free = next((node.name for node in choice if node.name in room.idle), None)
            if free is None:
                wanted |= {node.name for node in choice[: len(lost)] if node.name not in room.engaged}
                continue
            room.use([free])
            self.wire.give_back(row["lender"])
            self.database.write(partial(_swap, row=row, name=free))
        self.assigner.kept_free = frozenset(wanted)


def _is_over(row: Mapping[str, Any]) -> bool:
    return row["state"] not in ON_A_NODE or row["token"] != row["of_token"]


def _swap(connection: Connection, row: Row, name: str) -> None:
    """Lend another node in place of one that was lost, unless the job has ended meanwhile."""
    give_back(connection, row["lender"], row["of_job"])
    where = (jobs.c.job_id == row["of_job"], jobs.c.token == row["of_token"], jobs.c.state.in_(ON_A_NODE))
    if connection.execute(select(func.count()).select_from(jobs).where(*where)).scalar():
        lend(connection, [name], row["of_job"], row["of_token"])
