"""Tables of the ledger, and the version of their shape; the same in SQLite and PostgreSQL.

One row per generation of an experiment, in two halves: facts that hold anywhere (`lives`), and facts about its
execution on this machine (`executions`). Inbox and outbox stand beside them so that "accepted" and "answered" are one
transaction with the state they describe. This module decides nothing: see `ledger` and `node.lifecycle.intake`. The
view `generations` joins both halves for people.
"""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

from proteinx_pipelines.ledger import postgres, sqlite

SCHEMA_VERSION = 8
"""`migrations` brings older files up to it."""

metadata = MetaData()
ID = (
    Text()
    .with_variant(Text(collation=sqlite.NOCASE), "sqlite")
    .with_variant(Text(collation=postgres.NOCASE), "postgresql")
)
"""An experiment's id: `A` and `a` are one folder on some disks."""

lives = Table(
    "lives",  # facts about experiments that hold wherever they run
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),  # order of arrival
    Column("experiment_id", ID, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("message_key", Text, nullable=False),
    Column("message_id", Text),
    Column("reply_to", Text),  # name of the list that takes the result; absent: the list of all results
    Column("priority", Integer, nullable=False, default=0),
    Column("payload_ref", Text),
    Column("flags", Text, nullable=False),  # JSON, nested, defaults written out
    Column("plan", Text),  # JSON: stage -> {action, reason, ...}
    Column("attempt", Integer, nullable=False, default=1),
    Column("failures", Integer, nullable=False, default=0),  # failed attempts that count against run.retries
    Column("losses", Integer, nullable=False, default=0),  # attempts lost to the node's own trouble
    Column("not_before", Float),  # seconds since the epoch: back-off of a retry
    Column("stage", Text),
    Column("progress", Float),
    Column("note", Text),
    Column("cancel_requested", Integer, nullable=False, default=0),
    Column("received_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("updated_at", Text, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("trace", Text),
    Column("summary", Text),  # JSON
    Column("stages", Text),  # JSON: stage -> reused | taken | computed
    Column("result_id", Text),
    Index("idx_lives_experiment", "experiment_id", "generation", unique=True),
    Index("idx_lives_state", "state", "priority", "sequence"),
    sqlite_autoincrement=True,
)

executions = Table(
    "executions",  # facts about the current attempt on this machine; one row per life
    metadata,
    Column(
        "life",
        Integer,
        ForeignKey("lives.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("run_id", Text),
    Column("host_pid", Integer),  # the process that holds the run's loop
    Column("token", Text),  # the attempt that may write files
    Column("beat_at", Float),  # last sign of progress, seconds since the epoch
    Column("worker_pid", Integer),
    Column("deadline", Float),  # `clock.steady_seconds` of the boot below
    Column("boot", Text),
    Column("limit_left", Float),  # seconds before the deadline at the last sign of progress
    Column("oom_kills", Integer),  # what the kernel had counted when the attempt began
    Index("idx_executions_run", "run_id"),
    Index("idx_executions_token", "token"),
)

HERE = tuple(column.name for column in executions.columns if column.name != "life")
"""Columns about this machine's execution only."""
executed_lives = lives.join(executions, executions.c.life == lives.c.sequence)
"""Lives joined with their execution here: the source of `generation.Generation`."""

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("experiment_id", ID, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("reason", Text),
    Index("idx_transitions_experiment", "experiment_id", "generation"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("experiment_id", ID, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run_id", Text),
    Column("started_at", Text),  # absent when it ended before it began
    Column("ended_at", Text),
    Column(
        "state", Text, nullable=False
    ),  # RUNNING, LOST, or how it ended; FAILED also where another attempt follows
    Column("stage", Text),  # the last one that gave a sign of progress
    Column("error_code", Text),
    Column("error_message", Text),
    Column("trace", Text),
    Index("idx_attempts_experiment", "experiment_id", "generation", "attempt", unique=True),
)

inbox = Table(
    "inbox",
    metadata,
    Column("message_key", Text, primary_key=True),
    Column("received_at", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # ACCEPTED or REJECTED
    Column("experiment_id", Text),
    Column("generation", Integer),
    Column("result_id", Text),
    Column("raw", LargeBinary),  # the message as it came; at most 64 kB of a refused one
    Index("idx_inbox_received", "received_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("result_id", Text, nullable=False, unique=True),
    Column("experiment_id", Text),
    Column("payload", Text, nullable=False),
    Column("reply_to", Text),
    Column("created_at", Text, nullable=False),
    Column("wanted", Integer, nullable=False, default=1),  # how many copies the Master has asked for
    Column("delivered", Integer, nullable=False, default=0),
    Column("delivered_at", Text),
    Index("idx_outbox_undelivered", "delivered", "wanted"),
    Index("idx_outbox_delivered_at", "delivered_at"),
    sqlite_autoincrement=True,
)

unacknowledged = Table(
    "unacknowledged",
    metadata,
    Column("message", Text, primary_key=True),  # SHA-256 of its bytes
    Column("copies", Integer, nullable=False, default=1),  # decided, and not known to be off the claimed list
)

step_claims = Table(
    "step_claims",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("step_keys", Text, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("at", Text, nullable=False),
)

facts = Table(
    "facts",  # about this WORKDIR
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

node_names = Table(
    "node_names",  # every name that the node of this WORKDIR has had
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Text, nullable=False),
)
