"""Run by Alembic: migrates on the connection that `migrating` gives it, within that connection's transaction."""

from alembic import context

from proteinx_pipelines.master.database.tables import SCHEMA

context.configure(connection=context.config.attributes["connection"], target_metadata=SCHEMA)
context.run_migrations()
