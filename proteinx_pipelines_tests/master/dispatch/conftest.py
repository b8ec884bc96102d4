"""A dispatcher on a real database and a real Redis, stepped by the test instead of by its threads."""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

from proteinx_pipelines.contract.keys import QueueKeys
from proteinx_pipelines.master.database.job_tables import dispatches, jobs, lent
from proteinx_pipelines.master.database.tables import events, nodes
from proteinx_pipelines.master.dispatch.claiming import Claimer
from proteinx_pipelines.master.dispatch.dispatcher import Dispatcher
from proteinx_pipelines.master.dispatch.wire import Wire
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.master.dispatch.stand_in import StandIn


@dataclass
class World:
    """A Master, its dispatcher, and the nodes that a test adds."""

    master: Master
    client: "redis.Redis"
    nodes: dict[str, StandIn] = field(default_factory=dict)
    lease_s: float = 120.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: nothing of the old one is left but database and Redis."""
        wire = Wire(self.client, QueueKeys())
        settings = dataclasses.replace(self.master.settings, lease_s=self.lease_s)
        self.dispatcher = Dispatcher(settings, self.master.database, wire, alive_for_s=0.0)

    def empty(self) -> None:
        """No job, no node, nothing in Redis."""
        self.client.flushall()
        self.nodes.clear()
        self.master.database.write(
            lambda c: [c.execute(table.delete()).rowcount for table in (jobs, dispatches, lent, nodes)]
        )
        self.restart()

    def node(self, name: str, **more: Any) -> StandIn:
        """A node that is there."""
        self.nodes[name] = StandIn(self.client, name, **more)
        self.nodes[name].beat()
        return self.nodes[name]

    def round(self, times: int = 1) -> None:
        """Rounds in which everything is due."""
        for _ in range(times):
            self.dispatcher.looks.due.clear()
            self.dispatcher.round()

    def job(self, experiment_id: str | None = None, **more: Any) -> str:
        """Create a job over HTTP; returns its id."""
        flags = {"data": {"source": "GB1"}, **more.pop("flags", {})}
        columns = more.pop("columns", {})
        checked = check(JobRequest(flags=flags, experiment_id=experiment_id, **more))
        return self.master.database.write(lambda c: create(c, checked, caller="test", **columns))

    def send(self, message: dict[str, Any] | bytes) -> None:
        """A message over the queue, claimed and decided by the Master."""
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.client.lpush("experiments", raw)
        self.claim()

    def claim(self) -> None:
        """Take what lies on the queue, as the Master's own thread does."""
        stopping = threading.Event()
        claimer = Claimer(self.master.database, self.dispatcher.wire, "right", stopping)
        claimer.recover()
        while (raw := claimer.queue.dequeue(0)) is not None:
            claimer.decide([raw])

    def change(self, job_id: str, **values: Any) -> None:
        """Change the row of a job, as the routes do."""
        self.master.database.write(
            lambda c: c.execute(jobs.update().where(jobs.c.job_id == job_id).values(**values)).rowcount
        )

    def change_nodes(self, statement: str) -> None:
        """Change rows of nodes by a statement of SQL."""
        self.master.database.write(lambda c: c.exec_driver_sql(statement).rowcount)

    def row(self, job_id: str) -> dict[str, Any]:
        """The job's row."""
        with self.master.database.reading() as connection:
            return dict(connection.execute(select(jobs).where(jobs.c.job_id == job_id)).mappings().one())

    def rows(self) -> list[dict[str, Any]]:
        """All jobs, in order of arrival."""
        with self.master.database.reading() as connection:
            return [dict(row) for row in connection.execute(select(jobs).order_by(jobs.c.number)).mappings()]

    def outcomes(self, job_id: str) -> list[tuple[int, str, str | None]]:
        """Token, node and outcome of each dispatch of a job."""
        query = select(dispatches.c.token, dispatches.c.node, dispatches.c.outcome).order_by(
            dispatches.c.token
        )
        with self.master.database.reading() as connection:
            return [tuple(row) for row in connection.execute(query.where(dispatches.c.job_id == job_id))]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of one name."""
        with self.master.database.reading() as connection:
            query = select(events).where(events.c.event == name).order_by(events.c.seq)
            return [dict(row) for row in connection.execute(query).mappings()]


@pytest.fixture
def world(open_master: Callable[..., Master], valkey_url: str, tmp_path: Path) -> Iterator[World]:
    """An empty world."""
    client = connect(valkey_url)
    client.flushall()
    yield World(open_master(REDIS_URL=valkey_url), client)
    client.close()
