"""Tables of the Master; the same in SQLite and PostgreSQL. Those of jobs are in `job_tables`.

Times are texts as `clock.timestamp` writes them. Nothing here decides. Whoever changes a table raises `REVISION` and
adds a module to `migrations/versions`.
"""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, Table, Text

from proteinx_pipelines.master.database.job_tables import metadata

REVISION = "0005"
"""Revision of these tables, the newest of `migrations/versions`; `migrating` refuses a newer one."""
SCHEMA = metadata
"""Every table of the Master: importing this module has defined all of them."""
nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("is_drained", Boolean, nullable=False, default=False),
    Column("first_seen", Text, nullable=False),
    Column("last_seen", Text, nullable=False),
    Column("is_lost", Boolean, nullable=False, default=False),
    Column("lost_at", Text),
    Column("queue", Text),  # the list it takes messages from; null: it takes none of this Master
    Column("heartbeat", JSON),
    Column("capabilities", JSON),
    Column("gpu_usage", JSON),
)

events = Table(
    "events",  # what pages, streams and webhooks hear of
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column(
        "event", Text, nullable=False
    ),  # job.created, job.state, job.progress, node.lost, queue.paused, ...
    Column("job_id", Text),
    Column("node", Text),
    Column("data", JSON, nullable=False),
    Index("idx_events_job", "job_id", "seq"),
    sqlite_autoincrement=True,
)
datasets = Table(
    "datasets",
    metadata,
    Column("dataset_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", Text, nullable=False),  # of the file as uploaded
    Column("file_name", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("understood", JSON, nullable=False),  # what import made of it: rows, numbering, problems
    Column("created_by", Text),
    Column("created_at", Text, nullable=False),
    Index("idx_datasets_name", "name", "version", unique=True),
)

aliases = Table(
    "aliases",  # names of models, such as `champion`
    metadata,
    Column("name", Text, primary_key=True),
    Column("model_id", Text, nullable=False),  # the job that trained it
    Column("set_at", Text, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_by", Text),
    Column("created_at", Text, nullable=False),
)

units = Table(
    "units",
    metadata,
    Column("unit_id", Text, primary_key=True),
    Column("group_id", Text, nullable=False),
    Column("definition", JSON, nullable=False),  # base flags and grid, list, draw or search
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("submitted_at", Text),
    Index("idx_units_group", "group_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret", Text, nullable=False),
    Column("kind", Text, nullable=False, default="http"),  # http | command | email
    Column("is_on", Boolean, nullable=False, default=True),
    Column("created_by", Text),
    Column("created_at", Text, nullable=False),
)

outbox = Table(
    "outbox",  # one row for each event and subscriber, written with the change that it tells of
    metadata,
    Column("outbox_id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float),  # seconds since the epoch; null when over
    Column("state", Text, nullable=False),  # waiting | sent | dead
    Column("last_answer", Text),
    Column("created_at", Text, nullable=False),
    Column("ended_at", Text),
    Index("idx_outbox_due", "state", "due_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column(
        "digest", Text, nullable=False, unique=True
    ),  # SHA-256; the token itself is shown once and not kept
    Column("scopes", JSON, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

answers = Table(
    "answers",  # of requests with an Idempotency-Key
    metadata,
    Column("key", Text, primary_key=True),  # token, method, path and key together
    Column("body_sha256", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", Text, nullable=False),
)

facts = Table(
    "facts",  # single values: `queue.paused`, `flag_defaults`
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)
