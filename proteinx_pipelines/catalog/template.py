"""Where the template of a data file comes from: an option, `<name>.json` beside it, or its own sequences.

Only finds it. Whether every row fits it is `checking`.
"""

import json
import re
from collections import Counter
from pathlib import Path

from proteinx_pipelines.catalog.parsing import RawRows
from proteinx_pipelines.errors import BadVariants, CatalogError
from proteinx_pipelines.mutants import Mutation, parse_mutant

_ROWS_LOOKED_AT = 1_000
_SEQUENCE = re.compile("[A-Z]+")


def find_template(path: Path, stem: str, given: str | None, first_rows: RawRows | None, offset: int) -> str:
    """The template of the data in `path`, upper case letters.

    Args:
        path: the data file.
        stem: its name without its ending.
        given: what the user wrote; wins over all else.
        first_rows: the first batch of the file, None when it has no rows.
        offset: written position minus position in the template.

    Raises:
        CatalogError: there is no template, or it is not a sequence; the message says how to give one.
    """
    beside = path.with_name(f"{stem}.json")
    if given is not None:
        return _checked(given, "the template given")
    if beside.is_file():
        return _checked(_from_json(beside), f"`template` in {beside}")
    rebuilt = _rebuilt(first_rows, offset) if first_rows is not None else None
    if rebuilt is None:
        raise CatalogError(
            f"The template of {path} is not known. Give it with --template, put it into {beside.name} beside the "
            "file as `template`, or add a column `mutated_sequence` that agrees with the mutants."
        )
    return _checked(rebuilt, f"the template rebuilt from `mutated_sequence` of {path}")


def _from_json(path: Path) -> object:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise CatalogError(
            f"{path} is not JSON: {error}. Mend it, or give the template with --template."
        ) from error
    if not isinstance(document, dict) or "template" not in document:
        raise CatalogError(f"{path} has no `template`. Add it, or give the template with --template.")
    return document["template"]


def _checked(template: object, origin: str) -> str:
    text = template.strip() if isinstance(template, str) else template
    if not isinstance(text, str) or not _SEQUENCE.fullmatch(text):
        shown = repr(template) if len(repr(template)) <= 60 else f"{repr(template)[:57]}..."
        raise CatalogError(f"{origin} is {shown}; a sequence of letters A-Z is expected.")
    return text


def _rebuilt(rows: RawRows, offset: int) -> str | None:
    """The template that most of the first rows agree on: one bad row must not make all others look bad."""
    if rows.sequences is None:
        return None
    pairs = zip(
        rows.mutants[:_ROWS_LOOKED_AT].to_pylist(), rows.sequences[:_ROWS_LOOKED_AT].to_pylist(), strict=True
    )
    votes = Counter(template for mutant, sequence in pairs if (template := _undone(mutant, sequence, offset)))
    return votes.most_common(1)[0][0] if votes else None


def _undone(mutant: str | None, sequence: str | None, offset: int) -> str | None:
    """The sequence before its mutations, or None when they are not in it."""
    try:
        mutations: tuple[Mutation, ...] = parse_mutant(mutant or "")
    except BadVariants:
        return None
    letters = list(sequence or "")
    for wild_type, written, residue in mutations:
        index = written - offset - 1
        if not 0 <= index < len(letters) or letters[index] != residue:
            return None
        letters[index] = wild_type
    return "".join(letters)
