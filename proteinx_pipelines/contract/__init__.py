"""Contract: every document that one process, machine or release writes and another reads, and all Redis keys.

Each document is a typed model with a version, a JSON Schema and an example (`schemas/`, `docs/schemas/`). Needs
pydantic alone, so that a sender installs no more than that. This package makes no decisions: readers decide what to
do with a document.
"""
