"""Migrations of the Master's database (Alembic): one module for each revision, never changed once released."""
