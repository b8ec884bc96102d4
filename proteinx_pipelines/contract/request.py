"""Parses a queue message's bytes into an `ExperimentRequest`, or raises a `MessageError` with all problems.

This module defines valid messages; `node.lifecycle.intake` handles them (known ids, paths, the answer). All problems
are reported at once; `code` is that of the first kind in `CODES`. The first five kinds stop the parsing, since nothing
is left to check after them.
"""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.flags.json_text import NotJson, TooDeep, clean, read_json
from proteinx_pipelines.flags.parsing import check_document
from proteinx_pipelines.flags.problems import Problem, sentences, shown, without_echoes
from proteinx_pipelines.flags.tree import ExperimentFlags

SCHEMA_VERSION: Final = 1
"""Version of messages and results that this node uses."""
MAX_BYTES = 1024 * 1024
"""Largest message in bytes; data travels by reference."""
CODES = (
    "too_large", "not_utf8", "not_json", "too_deep", "not_an_object",
    "duplicate_key", "bad_schema_version", "missing_field", "bad_id", "bad_field", "bad_flags",
)  # fmt: skip
"""Codes of refusals made here, in order of precedence for the answer."""
REQUIRED = ("experiment_id", "flags")
"""Required fields."""
PRIORITY_RANGE = (-100, 100)
_LONGEST_MESSAGE_ID = 200  # characters
_LONGEST_REFERENCE = 4096  # characters, the path limit of most file systems
REPLY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""Form of `reply_to`: a name within the node's own keys, never a key of the sender's choice."""
_HASH_PREFIX = "sha256:"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ExperimentRequest:
    """A message that is valid by itself."""

    experiment_id: str
    flags: ExperimentFlags
    payload_ref: str | None
    """Reference to data on the node or in a configured store; None is the node's own catalog. Not yet confined."""
    message_id: str | None
    """The sender's name for this message, for safe re-sending."""
    priority: int
    """-100 to 100; higher goes first."""
    message_key: str
    """Key that a re-sent copy of the message shares: its `message_id`, else `sha256:` and the hash of its bytes."""
    raw: bytes
    """The message as received."""
    reply_to: str | None = None
    """Name of the list that takes the result; None is the list of all results."""


@dataclass
class _Findings:
    """Problems grouped by code."""

    by_code: dict[str, list[Problem]] = field(default_factory=dict)

    def add(self, code: str, *problems: Problem) -> None:
        self.by_code.setdefault(code, []).extend(problems)

    def ordered(self) -> list[tuple[str, Problem]]:
        return [(code, problem) for code in CODES for problem in self.by_code.get(code, ())]


def parse_message(raw: bytes, known: KnownNames | None = None) -> ExperimentRequest:
    """Read a message.

    Args:
        raw: the message as it came.
        known: names of metrics, embedders and models that can be computed with where this is asked; None checks the
            message's shape, which is the same everywhere and needs no plugin.

    Raises:
        MessageError: the message cannot be accepted. `code` is one of `CODES`, `problems` has everything
            that is wrong; `experiment_id` and `message_id` are set where the message has usable ones, and
            `message_key` always.
    """
    return _checked(*_cleaned(_object(raw)), raw, known)


def _checked(
    document: dict[str, Any], findings: "_Findings", raw: bytes, known: KnownNames | None
) -> ExperimentRequest:
    unclear = {
        problem.path[0] for problem in findings.by_code.get("duplicate_key", ()) if len(problem.path) == 1
    }
    experiment_id = _experiment_id(document, findings)
    message_id = _message_id(document, findings)
    message_key = message_key_of(raw) if message_id is None or "message_id" in unclear else message_id
    payload_ref, priority = _payload_ref(document, findings), _priority(document, findings)
    reply_to = _reply_to(document, findings)
    _check_version(document, findings)
    flags = _flags(document, findings, known)
    ordered = findings.ordered()
    if ordered or experiment_id is None or flags is None:
        raise MessageError(
            ordered[0][0],
            sentences([problem for _, problem in ordered]),
            experiment_id=None if "experiment_id" in unclear else experiment_id,
            message_id=None if "message_id" in unclear else message_id,
            message_key=message_key,
            reply_to=None if "reply_to" in unclear else reply_to,
        )
    return ExperimentRequest(
        experiment_id, flags, payload_ref, message_id, priority, message_key, raw, reply_to
    )


def message_of(document: Mapping[str, Any]) -> ExperimentRequest:
    """Build a message from its fields, as the node will read it.

    Raises:
        MessageError: it cannot be accepted; all problems at once.
    """
    cleaned, findings = _cleaned(document)
    raw = json.dumps(cleaned, ensure_ascii=False, allow_nan=False).encode("utf-8")
    _refuse_too_large(raw)
    return _checked(cleaned, findings, raw, None)


def readable_id(flags: ExperimentFlags) -> str:
    """Generate a descriptive name: `gb1-ridge-0301-120000-x7k`."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{flags.data.source[0]}-{flags.model.name}").strip("-").lower()
    return f"{words[:60].strip('-') or 'experiment'}-{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def message_key_of(raw: bytes) -> str:
    """The key of a message that has no usable `message_id`: equal bytes, equal key."""
    return _HASH_PREFIX + hashlib.sha256(raw).hexdigest()


def _cleaned(document: Mapping[str, Any]) -> tuple[dict[str, Any], _Findings]:
    """The message without what is no JSON value, and the problems of what was removed."""
    missing = [name for name in REQUIRED if name not in document]
    cleaned, problems = clean(document)
    findings = _Findings()
    for problem in problems:
        findings.add(_code(problem), _within_flags(problem))
    findings.add("missing_field", *(Problem((name,), "missing; every message has it") for name in missing))
    return cleaned, findings


def _object(raw: bytes) -> Mapping[str, Any]:
    _refuse_too_large(raw)
    if raw.startswith(_BOM):
        raise _unreadable(raw, "not_json", "the message begins with a byte order mark; send UTF-8 without it")
    try:
        document = read_json(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        text = f"byte {error.start} of the message is not UTF-8 ({error.reason}); send JSON as UTF-8 text"
        raise _unreadable(raw, "not_utf8", text) from error
    except NotJson as error:
        raise _unreadable(raw, "not_json", f"the message is {error}") from error
    except TooDeep as error:
        raise _unreadable(raw, "too_deep", str(error)) from error
    if not isinstance(document, Mapping):
        text = f"found {shown(clean(document)[0])}, expected an object with `experiment_id` and `flags`"
        raise _unreadable(raw, "not_an_object", text)
    return document


def _refuse_too_large(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        text = f"the message has {len(raw)} bytes, at most {MAX_BYTES} are accepted; send data by reference"
        raise _unreadable(raw, "too_large", text)


def _unreadable(raw: bytes, code: str, text: str) -> MessageError:
    return MessageError(code, sentences([Problem((), text)]), message_key=message_key_of(raw))


def _code(problem: Problem) -> str:
    if problem.kind != "bad_value":
        return problem.kind
    by_field = {"flags": "bad_flags", "experiment_id": "bad_id", "schema_version": "bad_schema_version"}
    return by_field.get(str(problem.path[0]), "bad_field")


def _within_flags(problem: Problem) -> Problem:
    """Flags are named without `flags.` in front, as everywhere."""
    inside = problem.path[0] == "flags" and len(problem.path) > 1
    return Problem(problem.path[1:], problem.text, problem.kind) if inside else problem


def _experiment_id(document: Mapping[str, Any], findings: _Findings) -> str | None:
    if "experiment_id" not in document:
        return None
    value = document["experiment_id"]
    problem = experiment_id_problem(value)
    if problem is not None:
        findings.add("bad_id", Problem((), problem))
        return None
    return str(value)


def _message_id(document: Mapping[str, Any], findings: _Findings) -> str | None:
    value = document.get("message_id")
    if value is None:
        return None
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_MESSAGE_ID and value.isprintable()
    if fits and not value.startswith(_HASH_PREFIX):
        return str(value)
    expected = (
        f"1 to {_LONGEST_MESSAGE_ID} printable characters that do not begin with `{_HASH_PREFIX}`, or null"
    )
    findings.add("bad_field", _misfit("message_id", value, expected))
    return None


def _payload_ref(document: Mapping[str, Any], findings: _Findings) -> str | None:
    value = document.get("payload_ref")
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_REFERENCE and value.isprintable():
        return value
    expected = f"a path or address of 1 to {_LONGEST_REFERENCE} printable characters, or null"
    findings.add("bad_field", _misfit("payload_ref", value, expected))
    return None


def _reply_to(document: Mapping[str, Any], findings: _Findings) -> str | None:
    value = document.get("reply_to")
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(REPLY_NAME, value):
        return value
    expected = "1 to 100 letters, digits, `.`, `_`, `-`, the first a letter or digit, or null"
    findings.add("bad_field", _misfit("reply_to", value, expected))
    return None


def _priority(document: Mapping[str, Any], findings: _Findings) -> int:
    value, (least, most) = document.get("priority", 0), PRIORITY_RANGE
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    findings.add("bad_field", _misfit("priority", value, f"a whole number from {least} to {most}"))
    return 0


def _check_version(document: Mapping[str, Any], findings: _Findings) -> None:
    value = document.get("schema_version", SCHEMA_VERSION)
    if isinstance(value, bool) or not isinstance(value, int) or value != SCHEMA_VERSION:
        findings.add("bad_schema_version", _misfit("schema_version", value, str(SCHEMA_VERSION)))


def _flags(
    document: Mapping[str, Any], findings: _Findings, known: KnownNames | None
) -> ExperimentFlags | None:
    if "flags" not in document:
        return None
    given = document["flags"]
    if not isinstance(given, Mapping):
        findings.add("bad_flags", _misfit("flags", given, "an object of flags"))
        return None
    flags, problems = check_document(given, (), known)
    reported = [problem for _, problem in findings.ordered()]
    findings.add("bad_flags", *without_echoes(problems, reported))
    return flags


def _misfit(name: str, value: Any, expected: str) -> Problem:
    return Problem((name,), f"found {shown(value)}, expected {expected}")
