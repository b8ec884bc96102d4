"""What crosses a wall: every document that one process, machine or release writes and another reads, and Redis' keys.

Each is a typed model with a version, a JSON Schema and an example (`schemas/`, `docs/schemas/`). Needs pydantic alone,
so that a sender installs no more than that. Nothing here decides: what is done about a document is its reader's.
"""
