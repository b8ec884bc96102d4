"""Flags of a plugin's own, in `ext.model` or `ext.split`, checked by the plugin's own pydantic schema.

`ext` is free JSON for everything else; only where a plugin's model or split method is named, its entry is checked,
when a message arrives, and enters the key of the stage that reads it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

Schema = type[BaseModel]
Problems = list[tuple[tuple[str | int, ...], str]]
"""Place below `ext.model` or `ext.split`, and a sentence without a full stop."""
_MOST_SHOWN = 80


def own_flags(schema: Schema | None, given: Any) -> BaseModel | None:
    """The plugin's flags as an object of its schema; None for a plugin without one.

    Raises:
        ValidationError: they have problems; `problems_of` names them when a message arrives.
    """
    return None if schema is None else schema.model_validate({} if given is None else given)


def problems_of(schema: Schema | None, given: Any, what: str) -> Problems:
    """Problems of a plugin's flags, all at once; unknown ones are refused although pydantic would pass over them."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return [((), f"found {_shown(given)}, expected an object with the flags of {what}")]
    if schema is None:
        return [((str(name),), f"{what} has no flags of its own; leave it out") for name in given]
    known = set(schema.model_fields) | {field.alias for field in schema.model_fields.values() if field.alias}
    unknown = [str(name) for name in given if name not in known]
    listed = ", ".join(sorted(known)) or "none"
    problems: Problems = [((name,), f"{what} has no such flag; it has {listed}") for name in unknown]
    try:
        schema.model_validate(dict(given))
    except ValidationError as error:
        problems += [
            (item["loc"], f"{item['msg']}; found {_shown(item['input'])}")
            for item in error.errors(include_url=False)
            if not (item["type"] == "extra_forbidden" and item["loc"][0] in unknown)
        ]
    return problems


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
