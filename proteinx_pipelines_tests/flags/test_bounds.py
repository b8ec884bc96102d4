"""Every flag has a bound: texts, lists and numbers that a message may bring."""

from collections.abc import Iterator
from typing import Any

import pytest

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.base import LONGEST_EXT, LONGEST_LABEL, LONGEST_PATH
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.schema import tree_schema

LONGEST = 10_000
"""Characters that any text of a flag may have."""
FREE_NUMBERS = (
    "data.dms_score.min", "data.dms_score.max", "data.dms_score_bin", "data.where.value", "transform.clip.min",
    "transform.clip.max", "transform.bins", "split.fractions", "split.threshold", "design.goal",
)  # fmt: skip
"""Numbers that are measured values, or checked together with others; they size nothing."""


def parts(schema: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of one value inside a schema, with the flag it belongs to."""
    yield name, schema
    for key in ("anyOf", "prefixItems"):
        for branch in schema.get(key, ()):
            yield from parts(branch, name)
    if "items" in schema:
        yield from parts(schema["items"], name)
    for inner, branch in schema.get("properties", {}).items():
        yield from parts(branch, f"{name}.{inner}".lstrip("."))


VALUES = [
    (name, part)
    for name, part in parts(tree_schema(), "")
    if "type" in part and "enum" not in part and "const" not in part
]


def kinds(part: dict[str, Any]) -> list[str]:
    """The JSON types of a schema."""
    found = part["type"]
    return found if isinstance(found, list) else [found]


def test_every_text_of_a_flag_has_a_bound() -> None:
    texts = [(name, part) for name, part in VALUES if "string" in kinds(part)]
    assert len(texts) > 10
    unbounded = [name for name, part in texts if "maxLength" not in part and "pattern" not in part]
    assert unbounded == []
    assert all(part.get("maxLength", 0) <= LONGEST for _, part in texts)


def test_every_number_of_a_flag_has_a_bound() -> None:
    numbers = [(name, part) for name, part in VALUES if {"integer", "number"} & set(kinds(part))]
    assert len(numbers) > 40
    unbounded = {name for name, part in numbers if "maximum" not in part and "exclusiveMaximum" not in part}
    assert unbounded == set(FREE_NUMBERS)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"data.source": "A" * 900_000}, "found 900000 characters, expected at most 500"),
        ({"split": {"method": "file", "column": "c", "path": "../" * 300_000}}, "expected at most 4096"),
        ({"ext": {"sequence": "A" * 900_000}}, "expected at most 65,536; send data by reference"),
        (
            {"data.where": [{"column": "mutant", "op": "=", "value": "A" * 20_000}]},
            "at most 10,000 characters",
        ),
        ({"trainer.devices": 1_000_000}, "expected a whole number of at least -1 and at most 256"),
        ({"train.batch_size": 10**12}, "expected a whole number of at least 1 and at most 1048576"),
    ],
)
def test_what_is_beyond_a_bound_is_refused_with_the_bound(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FlagError, match=sentence) as caught:
        parse_flags({"data.source": "GB1", **flags})
    assert len(caught.value.problems) <= 2  # a list whose only entry is bad is short of one, too
    assert len(str(caught.value)) < 1000


def test_what_reaches_a_bound_is_accepted() -> None:
    room = LONGEST_EXT - len('{"x": ""}')
    flags = {"data.source": "A" * LONGEST_LABEL, "ext": {"x": "e" * room},
             "split": {"method": "file", "column": "c", "path": "p" * LONGEST_PATH}}  # fmt: skip
    parsed = parse_flags(flags)
    assert parsed.data.source == ("A" * LONGEST_LABEL,)
    assert len(parsed.ext["x"]) == room
