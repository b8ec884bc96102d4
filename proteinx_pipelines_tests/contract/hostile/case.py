"""What one hostile message is: its bytes, the code it has to be answered with, and the place the answer has to name."""

import json
from typing import Any, NamedTuple

SOURCE = {"data": {"source": "GB1"}}
WHOLE = ""
"""Place of a problem of the whole message: there is no field to name."""


class Case(NamedTuple):
    """One message that must be refused."""

    raw: bytes
    code: str
    place: str
    """The dotted flag or the field, as the answer has it between back ticks; `WHOLE` where there is none."""


def envelope(**fields: Any) -> bytes:
    """A message that would be accepted but for `fields`."""
    return json.dumps({"experiment_id": "ok", "flags": SOURCE, **fields}).encode()


def flags(text: str) -> bytes:
    """A message that would be accepted but for one more flag, in JSON text."""
    return b'{"experiment_id": "ok", "flags": {"data": {"source": "GB1"}, ' + text.encode() + b"}}"


def dotted(name: str, value: Any) -> bytes:
    """A message that would be accepted but for one more flag, by its dotted name."""
    return envelope(flags={"data.source": "GB1", name: value})
