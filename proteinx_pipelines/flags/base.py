"""Base of all flag groups: frozen, strict, no unknown names, documented under each field."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NoReturn, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from proteinx_pipelines.domain.known_names import LONGEST_NAME, NAME_PATTERN

REFUSED = "refused_flags"
"""Type of the pydantic error raised by `refuse`; `flags.validation` takes it apart again."""

_MOST_ENTRIES = 10_000
"""Longest list of any flag. SQLite binds at most 32,766 values in one statement."""

LONGEST_LABEL = 500
"""Longest name from a catalog or a file, in characters: a source, a column, a class."""
LONGEST_PATH = 4096
"""Longest path or address, in characters, as in most file systems."""
LONGEST_EXT = 65_536
"""Longest `ext`, in characters of JSON text."""
MOST_EPOCHS = 1_000_000
"""Largest number of epochs."""
LARGEST_COUNT = 2**31 - 1
"""Largest number of rows, steps and mutations."""

Name = Annotated[str, Field(max_length=LONGEST_NAME, pattern=NAME_PATTERN)]
"""Name of a metric, an embedder or a model. `flags.names` checks whether it exists."""
Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
"""A name from a catalog or a file."""
PathText = Annotated[str, Field(max_length=LONGEST_PATH)]
"""A path or an address."""
TEXT_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
ONE_OR_LIST: dict[str, Any] = {"anyOf": [TEXT_SCHEMA, {"type": "array", "items": TEXT_SCHEMA, "minItems": 1}]}
"""JSON Schema of a flag read by `from_list(or_text=True)`."""
ONE_OR_LIST_OR_NULL: dict[str, Any] = {"anyOf": [*ONE_OR_LIST["anyOf"], {"type": "null"}]}
_PATH_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_PATH}
PATHS_OR_NULL: dict[str, Any] = {
    "anyOf": [_PATH_SCHEMA, {"type": "array", "items": _PATH_SCHEMA, "minItems": 1}, {"type": "null"}]
}
"""JSON Schema of a path, or of a list of them."""


def from_list(most: int = _MOST_ENTRIES, *, or_text: bool = False) -> BeforeValidator:
    """Convert a list to a tuple: JSON has only lists, and a frozen group must not hold one.

    Args:
        most: entries that are allowed; counted before any of them is looked at.
        or_text: take one text for a list of it.
    """

    def to_tuple(value: Any) -> Any:
        if isinstance(value, str) and or_text:
            return (value,)
        if isinstance(value, list) and len(value) > most:
            raise PydanticCustomError("too_long", "at most {max_length} entries", {"max_length": most})
        return tuple(value) if isinstance(value, list) else value

    return BeforeValidator(to_tuple)


_NUMBERS = re.compile(r"\s*-?\d{1,9}\s*(,\s*-?\d{1,9}\s*)*")


def from_numbers(most: int = _MOST_ENTRIES) -> BeforeValidator:
    """As `from_list`, of whole numbers, which may also be written `39` and `39,40,41`.

    Args:
        most: entries that are allowed.
    """
    listed = from_list(most).func

    def to_tuple(value: Any) -> Any:
        if isinstance(value, str) and len(value) <= 12 * most and _NUMBERS.fullmatch(value):
            value = [int(text) for text in value.split(",")]
        if isinstance(value, int) and not isinstance(value, bool):
            value = [value]
        return listed(value)  # type: ignore[call-arg]

    return BeforeValidator(to_tuple)


def from_names(most: int = _MOST_ENTRIES) -> BeforeValidator:
    """As `from_list`, of texts without commas, which may also be written `mse` and `mse,mae`.

    Args:
        most: entries that are allowed.
    """
    listed = from_list(most).func

    def to_tuple(value: Any) -> Any:
        if isinstance(value, str):
            value = [text.strip() for text in value.split(",", most)]
        return listed(value)  # type: ignore[call-arg]

    return BeforeValidator(to_tuple)


class Refusal(TypedDict):
    """One problem found by a group itself, in the form of pydantic's own errors."""

    type: Literal["text", "schema", "extra_forbidden"]
    """`text`: the problem is in `text`. `schema`: the flag's schema describes the accepted values. `extra_forbidden`:
    unknown.
    """
    loc: tuple[str | int, ...]
    """Location relative to the group."""
    input: Any
    text: str


def refusal(name: str, text: str) -> Refusal:
    """A problem of the flag `name` of this group; the sentence has neither the name nor a full stop."""
    return {"type": "text", "loc": (name,), "input": None, "text": text}


def refuse(refusals: Sequence[Refusal], errors: Sequence[ErrorDetails] = ()) -> NoReturn:
    """Refuse a group with these problems and pydantic's own errors together; call it in a validator."""
    said = [(item["loc"], item["text"]) for item in refusals]
    said += [(item["loc"], item["msg"]) for item in errors]
    text = "; ".join(f"{'.'.join(map(str, loc))}: {sentence}" for loc, sentence in said)
    raise PydanticCustomError(REFUSED, "{text}", {"text": text, "refusals": [*errors, *refusals]})


class FlagGroup(BaseModel):
    """Base of the flag groups. The fields are its flags; the text under a field documents it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def __hash__(self) -> int:
        """Equal groups have one hash, those with objects in them too: pydantic copies a default that has none."""
        values = self.__dict__.values()
        return hash(
            (type(self), *(frozenset(value) if isinstance(value, dict) else value for value in values))
        )


class Range(FlagGroup):
    """A closed interval; a missing end is open."""

    min: float | None = None
    """Smallest accepted value."""
    max: float | None = None
    """Largest accepted value."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"found min {self.min:g} above max {self.max:g}; swap them")
        return self


class CountRange(FlagGroup):
    """A closed interval of whole numbers >= 0; a missing end is open."""

    min: int | None = Field(None, ge=0, le=LARGEST_COUNT)
    """Smallest accepted count."""
    max: int | None = Field(None, ge=0, le=LARGEST_COUNT)
    """Largest accepted count."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> "CountRange":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"found min {self.min} above max {self.max}; swap them")
        return self
