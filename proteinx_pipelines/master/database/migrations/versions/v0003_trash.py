"""Deleted jobs can be put back for a while: their rows are kept in a table of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "trash",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("row", sa.JSON, nullable=False),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("deleted_at", sa.Text, nullable=False),
        sa.Column("deleted_by", sa.Text, nullable=False),
    )
    op.create_index("idx_trash_deleted", "trash", ["deleted_at"])
