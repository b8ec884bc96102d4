"""The flag tree as a JSON Schema without references, and its flags by their dotted names.

Generated from the models, so it always agrees with the checks. Error messages, suggestions and `docs/flags.md` are
made from it.
"""

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.flags.problems import Path
from proteinx_pipelines.flags.tree import ExperimentFlags

Schema = dict[str, Any]


@dataclass(frozen=True)
class Flag:
    """One flag, `<group>.<name>`, from its schema."""

    group: str
    name: str
    schema: Schema
    required: bool = False

    @property
    def dotted(self) -> str:
        """`train.lr`."""
        return f"{self.group}.{self.name}"

    @property
    def meaning(self) -> str:
        """The text under the flag in its group, on one line."""
        return " ".join(str(self.schema.get("description", "")).split())


@functools.cache
def _tree_schema() -> Schema:
    generated = ExperimentFlags.model_json_schema()
    inlined = _inline(generated, generated.get("$defs", {}))
    inlined.pop("$defs", None)
    assert isinstance(inlined, dict)
    return inlined


def tree_schema() -> Schema:
    """JSON Schema (2020-12) of the nested form of a flag set; a copy that the caller may change."""
    return copy.deepcopy(_tree_schema())


def known_groups() -> tuple[str, ...]:
    """Group names of the tree, in order."""
    return tuple(_tree_schema()["properties"])


@functools.cache
def known_flags() -> tuple[Flag, ...]:
    """Every flag, in the order of the groups; `ext` has none."""
    return tuple(
        Flag(group, name, schema, required=name in group_schema.get("required", ()))
        for group, group_schema in _tree_schema()["properties"].items()
        for name, schema in group_schema.get("properties", {}).items()
    )


@functools.cache
def known_names() -> tuple[str, ...]:
    """Dotted names of every flag and of the parts of flags that are objects (`data.mut_num.min`)."""
    names = []
    for flag in known_flags():
        names += [flag.dotted, *(f"{flag.dotted}.{part}" for part in flag.schema.get("properties", ()))]
    return tuple(names)


def locate(path: Path) -> tuple[Path, Schema]:
    """Follow a path into the tree's schema, as far as it goes.

    Returns:
        The part of the path that stands for a flag or a value inside one (pydantic's paths go on with the
        names of the alternatives it tried), and the schema there.
    """
    here, followed = _tree_schema(), 0
    for part in path:
        inner = _step(here, part)
        if inner is None:
            break
        here, followed = inner, followed + 1
    return path[:followed], here


def _step(schema: Schema, part: str | int) -> Schema | None:
    for branch in _branches(schema):
        if isinstance(part, str) and part in branch.get("properties", {}):
            return dict(branch["properties"][part])
        if isinstance(part, int):
            first = branch.get("prefixItems", [])
            if part < len(first):
                return dict(first[part])
            if "items" in branch:
                return dict(branch["items"])
    return None


def _branches(schema: Schema) -> Iterator[Schema]:
    yield schema
    yield from schema.get("anyOf", ())


def _inline(node: Any, definitions: Schema) -> Any:
    """Replace every `$ref` by its target; keys beside it (description, default) take precedence."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        beside = {key: item for key, item in node.items() if key != "$ref"}
        return _inline({**target, **beside}, definitions)
    return {
        key: _inline(item, definitions)
        for key, item in node.items()
        if not (key == "title" and _is_text(item))
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
