"""Describes in English what a schema allows: "a whole number of at least 1, or null"."""

import json
from typing import Any

_SINGULAR = {
    "number": "a number", "integer": "a whole number", "string": "a text", "boolean": "true or false",
    "null": "null", "object": "an object", "array": "a list",
}  # fmt: skip
_PLURAL = {
    "number": "numbers", "integer": "whole numbers", "string": "texts", "boolean": "true or false",
    "null": "null", "object": "objects", "array": "lists",
}  # fmt: skip
_BOUNDS = {
    "exclusiveMinimum": "greater than", "minimum": "of at least", "exclusiveMaximum": "less than",
    "maximum": "at most",
}  # fmt: skip


def describe(schema: dict[str, Any], *, plural: bool = False) -> str:
    """Describe the values that a JSON Schema (the subset that flags use) allows."""
    if "anyOf" in schema:
        return _alternatives([describe(branch, plural=plural) for branch in schema["anyOf"]])
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is not None:
        return _choices(choices, plural=plural)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _alternatives([describe({**schema, "type": each}, plural=plural) for each in kind])
    if kind == "array":
        return _list(schema, plural=plural)
    words = (_PLURAL if plural else _SINGULAR).get(str(kind), "any JSON value")
    if kind in ("integer", "number"):
        return words + _bounds(schema)
    if kind == "object" and schema.get("properties"):
        return f"{words} with {_enumerated([f'`{name}`' for name in schema['properties']], 'and')}"
    if kind == "string" and "pattern" in schema:
        return f"{words} like {schema.get('examples', [schema['pattern']])[0]!r}"
    if kind == "string" and schema.get("minLength"):
        return words.replace("text", "non-empty text")
    return words


def _alternatives(parts: list[str]) -> str:
    return ", or ".join(dict.fromkeys(parts))


def _choices(choices: list[Any], *, plural: bool) -> str:
    spelled = [f"`{choice}`" if isinstance(choice, str) else json.dumps(choice) for choice in choices]
    if len(spelled) == 1:
        return spelled[0]
    return ("any of " if plural else "one of ") + ", ".join(spelled)


def _list(schema: dict[str, Any], *, plural: bool) -> str:
    words = "lists of" if plural else "a list of"
    if "prefixItems" in schema:
        first = schema["prefixItems"]
        return f"{words} {len(first)} {describe(first[0], plural=True)}"
    if schema.get("minItems"):
        words = words.replace("a list", "a non-empty list").replace("lists", "non-empty lists")
    return f"{words} {describe(schema.get('items', {}), plural=True)}"


def _bounds(schema: dict[str, Any]) -> str:
    said = [f"{words} {_number(schema[key])}" for key, words in _BOUNDS.items() if key in schema]
    return " " + " and ".join(said) if said else ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _enumerated(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
