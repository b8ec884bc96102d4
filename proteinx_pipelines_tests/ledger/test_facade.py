"""Every change of the ledger is a method of it: no other room opens a transaction, or speaks SQL to it."""

import ast
from pathlib import Path

from proteinx_pipelines.ledger import tables
from proteinx_pipelines.ledger.generation import Generation

PACKAGE = Path(__file__).parents[2] / "proteinx_pipelines"
ROOM = "ledger"
ITS_OWN = {
    "forget",
    "put_back",
    "rows_of",
    "transaction",
    "reading",
    "create",
    "dialect_of",
    "as_our_error",
    "open_engine",
    "migrate",
}


def reached_into(source: str) -> list[str]:
    """Uses by a module of the ledger's own parts."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"proteinx_pipelines.{ROOM}."):
            room = (node.module or "").rpartition(".")[2]
            found += [name.name for name in node.names if name.name in ITS_OWN or room == "tables"]
        is_state = isinstance(node, ast.Attribute) and node.attr == "engine"
        if is_state and ast.unparse(node.value).rpartition(".")[2] in ("state", "ledger"):
            found.append(ast.unparse(node))
    return found


def test_no_other_room_opens_a_transaction() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if path.parts[len(PACKAGE.parts)] != ROOM
        and (names := reached_into(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_what_reaches_in_is_found() -> None:
    source = f"""
from proteinx_pipelines.{ROOM}.engine import StateError, transaction
from proteinx_pipelines.{ROOM}.tables import lives
with transaction(self.state.engine): ...
"""
    assert reached_into(source) == ["transaction", "lives", "self.state.engine"]


def test_a_generation_is_both_halves_and_no_field_is_in_both() -> None:
    anywhere, here = set(tables.lives.c.keys()) - {"sequence", "not_before"}, set(tables.HERE)
    assert anywhere | here == set(Generation.__dataclass_fields__)
    assert anywhere & here == set()
