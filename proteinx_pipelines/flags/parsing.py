"""Reads and writes flags: JSON (nested, dotted or mixed) and key-value text to one tree, and back.

    text -> read_json / read_pairs -> clean -> expand -> validate -> ExperimentFlags

Each step passes on the usable values and reports the rest, so that all problems come in one `FlagError`. The groups'
own files define the flags; the stages define their effect.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel

from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.json_text import NotJson, TooDeep, clean, read_json
from proteinx_pipelines.flags.names import with_unknown_names
from proteinx_pipelines.flags.nesting import FREE_GROUP, Tree, expand, override
from proteinx_pipelines.flags.pairs import print_pair, read_pairs
from proteinx_pipelines.flags.problems import Problem, sentences, shown, without_echoes
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.flags.validation import validate

Form = Literal["kv", "json", "dotted"]
"""The spellings of a flag set as text."""
FORMS: tuple[Form, ...] = get_args(Form)
Document = Mapping[str, Any] | str | bytes
"""A flag set: an object, or its text (JSON or key-value), UTF-8 where it is bytes."""


def parse_flags(
    document: Document, overrides: Sequence[str] = (), *, known: KnownNames | None = None
) -> ExperimentFlags:
    """Parse a flag set in any of its spellings.

    Args:
        document: an object, JSON text or key-value text.
        overrides: pairs like `train.lr=0.01` that win over the document, as typed on a command line.
        known: names of metrics, embedders and models that can be computed with; None checks their form only.

    Raises:
        FlagError: names every problem, by dotted name, with what was found and what is expected.
    """
    tree, problems = _read(document)
    newer, more = _expanded(*read_pairs(overrides))
    flags, problems = check_tree(override(tree, newer), [*problems, *more], known)
    if flags is None:
        raise FlagError(sentences(problems))
    return flags


def parse_file(
    path: Path, overrides: Sequence[str] = (), *, known: KnownNames | None = None
) -> ExperimentFlags:
    """Parse a flag file, JSON or key-value text; a byte order mark is skipped. `known` as in `parse_flags`.

    Raises:
        FlagError: the file cannot be read, or its flags have problems.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FlagError(
            [f"{path} cannot be read: {error.strerror}. Give the path of a flag file."]
        ) from error
    return parse_flags(content.removeprefix(b"\xef\xbb\xbf"), overrides, known=known)


def parse_pairs(pairs: Sequence[str]) -> ExperimentFlags:
    """Parse pairs like `train.lr=0.001`, arguments or lines.

    Raises:
        FlagError: as `parse_flags`.
    """
    return parse_flags({}, pairs)


def to_dotted(flags: ExperimentFlags, *, defaults: bool = True) -> dict[str, Any]:
    """The tree by dotted names; `ext` is one entry. Parses back to an equal tree.

    Args:
        flags: the tree.
        defaults: false leaves out every flag that has its default.
    """
    groups = None if defaults else flags.model_fields_set  # no need to compare the others
    return _dotted(flags, flags.model_dump(mode="json", include=groups, exclude_defaults=not defaults), "")


def to_pairs(flags: ExperimentFlags) -> list[str]:
    """The tree as key-value lines, defaults written out. Parses back to an equal tree."""
    return _lines(to_dotted(flags))


def convert(document: Document, to: Form, *, defaults: bool = False) -> str:
    """A flag set in another spelling, as text that `parse_flags` reads back to an equal tree.

    Args:
        document: an object, JSON text (nested, dotted or mixed) or key-value text.
        to: `kv`, one `name=value` a line; `json`, nested; `dotted`, JSON with dotted names.
        defaults: also write the flags that the document does not give.

    Raises:
        FlagError: names every problem of the document.
        ValueError: `to` is none of the three.
    """
    return spell(parse_flags(document), to, defaults=defaults)


def spell(flags: ExperimentFlags, to: Form, *, defaults: bool = False) -> str:
    """The text of a flag set: of the flags that were given, or of all. Arguments are those of `convert`.

    Raises:
        ValueError: `to` is none of the three.
    """
    if to not in FORMS:
        raise ValueError(f"to={to!r}: one of {', '.join(FORMS)} is expected.")
    nested = flags.model_dump(mode="json", exclude_unset=not defaults)
    entries = _dotted(flags, nested, "")
    if to == "kv":
        return "".join(f"{line}\n" for line in _lines(entries))
    chosen = nested if to == "json" else entries
    return json.dumps(chosen, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def check_document(
    document: Mapping[str, Any], problems: Sequence[Problem], known: KnownNames | None = None
) -> tuple[ExperimentFlags | None, list[Problem]]:
    """Check an object cleaned by `clean`; `problems` are those already found in it.

    Returns:
        The flags, or None and all problems.
    """
    tree, more = expand(document)
    return check_tree(tree, [*problems, *more], known)


def check_tree(
    tree: Tree, problems: Sequence[Problem], known: KnownNames | None = None
) -> tuple[ExperimentFlags | None, list[Problem]]:
    """Check a nested tree as `check_document` does."""
    flags, found = validate(tree)
    if known is not None:
        found = with_unknown_names(tree, found, known)
    everything = list(dict.fromkeys([*problems, *without_echoes(found, problems)]))
    return (None if everything else flags), everything


def _lines(entries: Mapping[str, Any]) -> list[str]:
    return [
        print_pair(name, value, json.dumps(value, ensure_ascii=False, allow_nan=False))
        for name, value in entries.items()
    ]


def _read(document: Document) -> tuple[Tree, list[Problem]]:
    if isinstance(document, Mapping):
        return _expanded(document, [])
    try:
        text = document if isinstance(document, str) else document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FlagError([f"Byte {error.start} is not UTF-8. Save the flags as UTF-8 text."]) from error
    if not text.lstrip().startswith(("{", "[", '"')):
        return _expanded(*read_pairs(text.split("\n")))
    try:
        read = read_json(text)
    except (NotJson, TooDeep) as error:
        raise FlagError([Problem((), str(error)).sentence]) from error
    if not isinstance(read, Mapping):
        raise FlagError([f"Found {shown(read)}, expected an object of flags."])
    return _expanded(read, [])


def _expanded(document: Mapping[str, Any], problems: Sequence[Problem]) -> tuple[Tree, list[Problem]]:
    cleaned, found = clean(document)
    tree, more = expand(cleaned or {})
    return tree, [*problems, *found, *more]


def _dotted(group: BaseModel, nested: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in nested.items():
        inner = getattr(group, name)
        if isinstance(inner, BaseModel):
            entries.update(_dotted(inner, value, f"{prefix}{name}."))
        elif name != FREE_GROUP or value:
            entries[f"{prefix}{name}"] = value
    return entries
