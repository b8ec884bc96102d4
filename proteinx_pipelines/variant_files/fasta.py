"""FASTA files: sequences of variants, with names, scores and parts in headers; or the sequence of a template.

`>A24C score=0.5`, `>A24C|0.5`, biotrainer's `>Seq1 TARGET=0.5 SET=train VALIDATION=False`, UniProt's
`>sp|P62593|BLAT_ECOLX Beta-lactamase OS=... `.
"""

import re
from pathlib import Path

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.notation import is_wild_type_word, looks_like_mutant
from proteinx_pipelines.variant_files.text_table import TextTable, table_of
from proteinx_pipelines.variant_files.understood import Understood

_FIELD = re.compile(r"\b(\w+)\s*[=:]\s*([^\s|;,]+)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNIPROT_FIELDS = frozenset({"OS", "OX", "GN", "PE", "SV"})


def read_records(path: Path, text: str) -> list[tuple[int, str, str]]:
    """Read line, header without `>`, and sequence in capitals of every record.

    Raises:
        CatalogError: there is no record, or one has no sequence.
    """
    records: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith(">"):
            records.append((number, stripped[1:].strip(), []))
        elif stripped and not stripped.startswith(";"):
            if not records:
                raise CatalogError(
                    f"{path} cannot be read: line {number} of a FASTA file stands before any header."
                )
            records[-1][2].append("".join(stripped.split()))
    found = [(line, header, "".join(parts).upper()) for line, header, parts in records]
    empty = [line for line, _, sequence in found if not sequence]
    if empty or not found:
        raise CatalogError(f"{path}: the record in line {empty[0] if empty else 1} has no sequence.")
    return found


def read_fasta(path: Path, text: str) -> TextTable:
    """Read one row per record: `name` (`mutant` if names are mutants), `sequence`, and the fields of the header."""
    records = read_records(path, text)
    fields = [_fields(header) for _, header, _ in records]
    are_mutants = all(
        looks_like_mutant(found["name"]) or is_wild_type_word(found["name"]) for found in fields
    )
    names = list(dict.fromkeys(name for found in fields for name in found))
    rows = [
        [*(found.get(name) for name in names), sequence]
        for found, (_, _, sequence) in zip(fields, records, strict=True)
    ]
    shown = ["mutant" if name == "name" and are_mutants else name for name in names]
    table = table_of(
        [*shown, "sequence"], rows, [line for line, _, _ in records], Understood("FASTA"), "line"
    )
    if not are_mutants:
        marked = [
            sequence
            for found, (_, _, sequence) in zip(fields, records, strict=True)
            if is_wild_type_word(found["name"])
        ]
        table.template = marked[0] if marked else None
    return table


def _fields(header: str) -> dict[str, str]:
    """Name of a record, and the further fields of its header."""
    pieces = [piece.strip() for piece in header.split("|")]
    words = header.split()
    name = words[0] if words else ""
    if len(pieces) > 1 and not re.fullmatch(r"sp|tr|ref|gb|pdb|up", pieces[0].lower()):
        name = pieces[0]
    found = {"name": name}
    found |= {key: value for key, value in _FIELD.findall(header) if key not in _UNIPROT_FIELDS}
    numbers = [piece for piece in (*pieces[1:], *words[1:]) if _NUMBER.fullmatch(piece)]
    if len(found) == 1 and len(set(numbers)) == 1:
        found["score"] = numbers[0]
    return found
