"""Search for the template of a file: an option, a file beside it, a key or row in it, or its sequences.

`variants` checks that every row fits it.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.edits import parse_edits
from proteinx_pipelines.errors import BadVariants, CatalogError
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.variant_files.fasta import read_records
from proteinx_pipelines.variant_files.notation import is_wild_type_word

_ROWS_LOOKED_AT = 1_000
_LONGEST_CODE = 3  # letters: a column `wildtype` may have the residue of each mutation
_SEQUENCE = re.compile("[A-Z]+")
_KEYS = ("template", "target_seq", "wild_type_sequence", "wt_sequence", "sequence")
_FASTA_ENDINGS = (".fasta", ".fa", ".faa")


@dataclass(frozen=True)
class FoundTemplate:
    """A template and its origin."""

    sequence: str
    """Letters A-Z."""
    origin: str
    """In words."""


@dataclass(frozen=True)
class TemplateHints:
    """Hints of a file about its template."""

    named: str | None = None
    """Sequence under a JSON key, or of the FASTA record named wild type."""
    column: Sequence[str | None] | None = None
    """Cells of the column of templates."""
    mutants: Sequence[str | None] | None = None
    sequences: Sequence[str | None] | None = None
    """Variant sequences, with or without `mutants`."""


def find_template(
    path: Path, stem: str, given: str | None, hints: TemplateHints, offset: int
) -> FoundTemplate:
    """Find the template of the data in `path`.

    Args:
        path: the data file.
        stem: its name without its ending.
        given: a sequence, or the path of a FASTA, JSON or text file, from the user; takes precedence.
        hints: hints of the file itself.
        offset: written position minus position in the template.

    Raises:
        CatalogError: there is no template, or it is not a sequence; the message explains how to give one.
    """
    if given is not None:
        return given_template(given)
    written = template_beside(path, stem)
    if written is not None:
        return written
    found = _in_the_file(hints, offset)
    if found is None:
        raise CatalogError(
            f"The template of {path} is not known. Give it with --template (a sequence, or a FASTA or JSON file), "
            f"put it into {stem}.json beside the file as `template`, mark the row of the wild type, or add a column "
            f"`mutated_sequence` that agrees with the mutants.{_suggestion(hints)}"
        )
    return FoundTemplate(checked_template(found.sequence, f"{found.origin} of {path}"), found.origin)


def _suggestion(hints: TemplateHints) -> str:
    """Suggest a template from the consensus of equally long sequences; the user has to confirm it."""
    sequences = [sequence for sequence in hints.sequences or () if sequence][:_ROWS_LOOKED_AT]
    if not sequences:
        return ""
    length, _ = Counter(map(len, sequences)).most_common(1)[0]
    columns = zip(*(sequence for sequence in sequences if len(sequence) == length), strict=True)
    common = "".join(Counter(column).most_common(1)[0][0] for column in columns)
    return f" The most frequent letters of its sequences are {common}: if that is the wild type, give it."


def files_beside(path: Path, stem: str) -> list[Path]:
    """Files searched for a template of the data in `path`, in order."""
    names = [f"{stem}{ending}" for ending in (".json", *_FASTA_ENDINGS)]
    return [path.with_name(name) for name in names if name != path.name]


def template_beside(path: Path, stem: str) -> FoundTemplate | None:
    """The template in a file beside the data in `path`; None where there is no such file.

    Raises:
        CatalogError: the file has no sequence.
    """
    for beside in files_beside(path, stem):
        if beside.is_file() and beside.suffix == ".json":
            return FoundTemplate(_from_json(beside, "template"), f"`template` in {beside.name}")
        if beside.is_file():
            return FoundTemplate(_from_fasta(beside), f"{beside.name} beside the file")
    return None


def given_template(text: str) -> FoundTemplate:
    """Interpret the user's value: a sequence, unless a file of this name exists.

    Raises:
        CatalogError: it is neither.
    """
    path = Path(text)
    try:
        is_file = len(text) < 4096 and "\n" not in text and path.is_file()
    except OSError:
        is_file = False
    if not is_file:
        if path.suffix.lower() in (*_FASTA_ENDINGS, ".json", ".txt"):
            raise CatalogError(f"The template given is {text!r}: there is no such file.")
        return FoundTemplate(checked_template(text, "the template given"), "given")
    if path.suffix.lower() == ".json":
        return FoundTemplate(_from_json(path, *_KEYS), f"{path.name} that was given")
    head = path.read_text(encoding="utf-8-sig", errors="replace").lstrip()
    sequence = _from_fasta(path) if head.startswith(">") else checked_template(head, f"the text of {path}")
    return FoundTemplate(sequence, f"{path.name} that was given")


def offset_beside(path: Path, stem: str) -> int:
    """The `offset` in `<stem>.json` beside the data in `path`, as an export writes it; 0 without one.

    Raises:
        CatalogError: it is not a whole number, or the file is not JSON.
    """
    beside = files_beside(path, stem)[0]
    if beside.suffix != ".json" or not beside.is_file():
        return 0
    document = _read_json(beside)
    offset = document.get("offset", 0) if isinstance(document, dict) else 0
    if isinstance(offset, bool) or not isinstance(offset, int):
        raise CatalogError(f"`offset` in {beside} is {offset!r}; a whole number is expected.")
    return offset


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CatalogError(
            f"{path} is not JSON: {error}. Mend it, or give the template with --template."
        ) from error


def _from_json(path: Path, *keys: str) -> str:
    document = _read_json(path)
    key = next((key for key in keys if isinstance(document, dict) and key in document), None)
    if key is None:
        raise CatalogError(f"{path} has no `template`. Add it, or give the template with --template.")
    assert isinstance(document, dict)
    return checked_template(document[key], f"`{key}` in {path}")


def _from_fasta(path: Path) -> str:
    """Read the only record, or the one named wild type."""
    try:
        records = read_records(path, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path} cannot be read: {error}") from error
    if len(records) > 1:
        named = [record for record in records if is_wild_type_word(record[1].split("|")[0])]
        records = named or records
    if len(records) != 1:
        raise CatalogError(
            f"{path} has {len(records)} sequences; the template alone is expected, or one called WT."
        )
    return checked_template(records[0][2], f"the sequence in {path}")


def checked_template(template: object, origin: str) -> str:
    """Normalise a sequence: capitals, without blanks, gaps and a final stop.

    Raises:
        CatalogError: it is not a sequence.
    """
    text = (
        re.sub(r"[\s.\-]+", "", template).upper().removesuffix("*") if isinstance(template, str) else template
    )
    if not isinstance(text, str) or not _SEQUENCE.fullmatch(text):
        shown = repr(template) if len(repr(template)) <= 60 else f"{repr(template)[:57]}..."
        raise CatalogError(f"{origin} is {shown}; a sequence of letters A-Z is expected.")
    return text


def _in_the_file(hints: TemplateHints, offset: int) -> FoundTemplate | None:
    if hints.named:
        return FoundTemplate(hints.named, "the template that is named in the file")
    if hints.column is not None:
        distinct = {cell.strip().upper() for cell in hints.column if cell and cell.strip()}
        sequences = [cell for cell in distinct if len(cell) > _LONGEST_CODE]
        if len(sequences) > 1:
            raise CatalogError(
                f"The column of templates has {len(sequences)} different sequences, and a source has one. Write a file "
                "for each of them."
            )
        if len(distinct) == 1:
            return FoundTemplate(distinct.pop(), "the column of templates")
    if hints.mutants is None or hints.sequences is None:
        return None
    pairs = list(zip(hints.mutants, hints.sequences, strict=True))
    marked = {sequence for mutant, sequence in pairs if sequence and is_wild_type_word(mutant)}
    if len(marked) == 1:
        return FoundTemplate(marked.pop(), "the row of the wild type")
    votes = Counter(
        t for mutant, sequence in pairs[:_ROWS_LOOKED_AT] if (t := _undone(mutant, sequence, offset))
    )
    # A single bad row must not make all others look wrong.
    return (
        FoundTemplate(votes.most_common(1)[0][0], "the template rebuilt from the sequences")
        if votes
        else None
    )


def _undone(mutant: str | None, sequence: str | None, offset: int) -> str | None:
    """Undo the substitutions in a sequence; None if it does not contain them."""
    try:
        edits = parse_edits(renumbered([(mutant or "").upper()], -offset)[0].as_py())
    except BadVariants:
        return None
    letters = list(sequence or "")
    for edit in edits:
        index = edit.first - 1
        if not edit.is_substitution or not 0 <= index < len(letters) or letters[index] != edit.residues:
            return None
        letters[index] = edit.anchors[0][0]
    return "".join(letters)
