"""Tables of jobs: their rows, what lists and filters read of them, dispatches, logs and files.

Times are texts as `clock.timestamp` writes them. Nothing here decides: see `jobs` and `dispatch`. The other tables, and
the revision of all, are in `tables`.
"""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # order of arrival
    Column("job_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # experiment | predict | run
    Column("experiment_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("place", Float, nullable=False),  # order within a priority; between its neighbours after a move
    Column("latest_start", Float, nullable=False, default=9e15),  # seconds since 1970; see `jobs.order`
    Column("source", Text),
    Column("model", Text),
    Column("payload_ref", Text),
    Column("dataset", Text),
    Column("group_id", Text),
    Column("unit_id", Text),
    Column("needs", JSON),
    Column("deadline", Text),
    Column("slo_s", Float),
    Column("node", Text),  # the node that has it, or had it last
    Column("token", Integer, nullable=False, default=0),  # number of the dispatch; part of `message_id`
    Column("sent", Boolean, nullable=False, default=False),  # the current dispatch is on the node's list
    Column("sent_at", Text),  # the last time that its message was pushed
    Column("blocked_by", Text),  # the set of nodes that cannot take it; looked at again when that changes
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("cancel_sent_at", Text),  # the last time that the node was asked to cancel it
    Column("reason", Text),  # why it was held, cancelled or could not be placed
    Column("stage", Text),
    Column("progress", Float),
    Column("note", Text),
    Column("generation", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("summary", JSON),
    Column("error_code", Text),
    Column("message_key", Text),  # of a message that came over the direct path
    Column("message_id", Text),  # the sender's own, put back into the result
    Column("reply_to", Text),
    Column("is_answered", Boolean, nullable=False, default=True),  # false: a result is to be put on a list
    Column(
        "answers_wanted", Integer, nullable=False, default=0
    ),  # copies of the result: a message may come again
    Column("answers_sent", Integer, nullable=False, default=0),
    Column("answered_at", Text),
    Column("retry_of", Text),
    Column("created_by", Text),
    Column("created_at", Text, nullable=False),
    Column("assigned_at", Text),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("updated_at", Text, nullable=False),
    # The large ones last: SQLite keeps the end of a long row elsewhere, and scans do not read it.
    Column("flags", JSON, nullable=False),  # as sent, nested
    Column("result", JSON),
    Column("error_message", Text),
    Index("idx_jobs_past", "state", "kind", "model", "source", "number"),
    Index("idx_jobs_past_model", "state", "kind", "model", "number"),
    Index("idx_jobs_past_kind", "state", "kind", "number"),
    Index("idx_jobs_state", "state", "number"),
    Index("idx_jobs_source", "source", "number"),
    Index("idx_jobs_model", "model", "number"),
    Index("idx_jobs_unit", "unit_id", "number"),
    Index("idx_jobs_group", "group_id", "number"),
    Index("idx_jobs_kind", "kind", "number"),
    Index("idx_jobs_on_node", "node", "number"),
    Index("idx_jobs_priority", "priority", "number"),
    Index("idx_jobs_progress", "progress", "number"),
    Index("idx_jobs_created", "created_at", "number"),
    Index("idx_jobs_started", "started_at", "number"),
    Index("idx_jobs_finished", "finished_at", "number"),
    Index("idx_jobs_updated", "updated_at", "number"),
    Index("idx_jobs_place", "place"),
    Index("idx_jobs_experiment", "experiment_id", "number"),
    Index("idx_jobs_node", "node", "state"),
    Index("idx_jobs_message", "message_key"),
    Index("idx_jobs_answers", "is_answered", "state"),
    Index("idx_jobs_answered", "answered_at"),
    sqlite_autoincrement=True,
)

Index("idx_jobs_line", jobs.c.state, jobs.c.priority.desc(), jobs.c.latest_start, jobs.c.place, jobs.c.number)

Index("idx_jobs_order", jobs.c.priority.desc(), jobs.c.latest_start, jobs.c.place, jobs.c.number)

trash = Table(
    "trash",  # deleted jobs, while they can be put back
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("row", JSON, nullable=False),  # of `jobs`
    Column("aliases", JSON, nullable=False),  # names that its model had
    Column("deleted_at", Text, nullable=False),
    Column("deleted_by", Text, nullable=False),
    Index("idx_trash_deleted", "deleted_at"),
)

LISTED = (
    "number", "state", "source", "model", "kind", "node", "group_id", "unit_id", "experiment_id", "job_id",
    "created_by", "created_at", "priority", "latest_start", "place", "progress", "started_at", "finished_at",
    "updated_at",
)  # fmt: skip
"""Columns that lists are filtered and sorted by."""
# A narrow copy of the table, kept by the database: a row of `jobs` takes a page or two in SQLite, so that looking at
# all of them would read all of it. PostgreSQL keeps long values elsewhere by itself.
Index("idx_jobs_list", *(jobs.c[name] for name in LISTED)).ddl_if(dialect="sqlite")

job_flags = Table(
    "job_flags",  # flags of a job that differ from the fact `flag_defaults`, for filters; see `jobs.flag_rows`
    metadata,
    Column("name", Text, primary_key=True),  # dotted; empty: no default holds for this job
    Column("value", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Index("idx_job_flags_number", "number"),
)

source_lists = Table(
    "source_lists",  # texts in `jobs.source` that stand for several sources; see `jobs.source_lists`
    metadata,
    Column("source", Text, primary_key=True),  # a long one by its digest
    Column("text", Text, primary_key=True),
    Index("idx_source_lists_text", "text"),
)

job_metrics = Table(
    "job_metrics",  # `summary` of a job, number by number, for filters and sorting
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Index("idx_job_metrics_value", "name", "value", "number"),
    Index("idx_job_metrics_number", "number"),
)

dispatches = Table(
    "dispatches",  # every time a job was given to a node
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("token", Integer, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("assigned_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("outcome", Text),  # the state it ended in, `recalled`, `lost` or `late`
    Column("error_code", Text),
    Column("error_message", Text),
)
lent = Table(
    "lent",  # nodes that are lent to the training of another node
    metadata,
    Column("node", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("token", Integer, nullable=False),  # of the dispatch
    Column("lent_at", Text, nullable=False),
)

job_logs = Table(
    "job_logs",  # lines and metric values that a node has sent of a job
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("job_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # log | metric
    Column("at", Text, nullable=False),
    Column("line", JSON, nullable=False),
    Index("idx_job_logs", "job_id", "kind", "seq"),
    sqlite_autoincrement=True,
)

artifacts = Table(
    "artifacts",  # files of a job, uploaded by its node
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("stored_at", Text, nullable=False),
)
