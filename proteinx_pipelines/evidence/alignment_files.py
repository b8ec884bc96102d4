"""Rows of an alignment in the columns of its target: a2m, a3m and FASTA by biotite, Stockholm by pyhmmer.

The target is the row that fits the template best: the first one in most files. In a file whose rows have one length,
every column where the target has a residue is a site, lower case included; where they have not, small letters are
insertions (a3m) and are left out.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.errors import BadEvidence
from proteinx_pipelines.evidence.given import GivenFile, expected
from proteinx_pipelines.evidence.packages import needed
from proteinx_pipelines.records import AMINO_ACIDS

GAP = len(AMINO_ACIDS)
"""Token of a gap or an unknown residue."""
_WORD = 3
_INSERTED = str.maketrans("", "", "abcdefghijklmnopqrstuvwxyz.")
_TOKENS = np.full(256, GAP, np.uint8)
for _number, _one in enumerate(AMINO_ACIDS):
    _TOKENS[[ord(_one), ord(_one.lower())]] = _number


@dataclass(frozen=True)
class Rows:
    """An alignment in the columns of its target."""

    target: str
    """The target's name."""
    sequence: str
    """The target's S residues, upper case."""
    tokens: np.ndarray
    """uint8 [N, S]: residue of each row at each of the target's residues, `GAP` for none; the target is row 0."""


def read_rows(given: GivenFile, template: str) -> Rows:
    """Read an alignment.

    Raises:
        BadEvidence: it is not an alignment: fewer than two rows, or rows of different lengths; the message names them.
        MissingPackage: the package that reads it is not installed.
    """
    names, rows = _named_rows(given)
    if len(rows) < 2:
        raise BadEvidence(
            f"{given.name} has {len(rows)} sequences; an alignment of the template with its homologues is expected: "
            f"{expected('alignment')}."
        )
    number = _target(rows, template)
    aligned = rows if len({len(row) for row in rows}) == 1 else _without_insertions(given, names, rows)
    length = len(aligned[number])
    codes = np.frombuffer("".join(aligned).encode("latin-1", "replace"), np.uint8).reshape(
        len(aligned), length
    )
    letters = aligned[number]
    columns = np.array([at for at, letter in enumerate(letters) if letter.isalpha()], np.int64)
    if not len(columns):
        raise BadEvidence(
            f"{given.name}: the row {names[number]!r} has no residue; the template is expected there."
        )
    order = [number, *(row for row in range(len(rows)) if row != number)]
    tokens = _TOKENS[codes[order][:, columns]]
    return Rows(names[number], "".join(letters[at] for at in columns).upper(), tokens)


def _named_rows(given: GivenFile) -> tuple[list[str], list[str]]:
    text = given.text()
    if text.lstrip().startswith("# STOCKHOLM") or given.plain_name.endswith((".sto", ".stockholm", ".stk")):
        return _stockholm(given)
    fasta = needed("biotite.sequence.io.fasta", "Reading an alignment")
    try:
        file = fasta.FastaFile.read(io.StringIO(text))
        pairs = list(file.items())
    except Exception as error:  # biotite raises whatever its parser meets
        raise BadEvidence(
            f"{given.name} cannot be read as an alignment ({type(error).__name__}: {error}); expected: "
            f"{expected('alignment')}."
        ) from error
    return [name for name, _ in pairs], [row for _, row in pairs]


def _stockholm(given: GivenFile) -> tuple[list[str], list[str]]:
    easel = needed("pyhmmer.easel", "Reading a Stockholm alignment")
    try:
        with easel.MSAFile(io.BytesIO(given.unpacked), format="stockholm") as file:
            found = file.read()
    except (ValueError, OSError, EOFError) as error:
        raise BadEvidence(f"{given.name} cannot be read as Stockholm ({error}).") from error
    if found is None:
        raise BadEvidence(f"{given.name} holds no alignment; {expected('alignment')} is expected.")
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in found.names]
    return names, [str(row) for row in found.alignment]


def _target(rows: Sequence[str], template: str) -> int:
    """Row that shares most words of three residues with the template; the first of several."""
    words = {template[at : at + _WORD] for at in range(len(template) - _WORD + 1)}
    best, found = 0, -1
    for number, row in enumerate(rows):
        letters = "".join(filter(str.isalpha, row)).upper()
        shared = len(words.intersection(letters[at : at + _WORD] for at in range(len(letters) - _WORD + 1)))
        if shared > found:
            best, found = number, shared
        if found == len(words):
            break
    return best


def _without_insertions(given: GivenFile, names: Sequence[str], rows: Sequence[str]) -> list[str]:
    kept = [row.translate(_INSERTED) for row in rows]
    lengths = np.array([len(row) for row in kept])
    values, counts = np.unique(lengths, return_counts=True)
    usual = int(values[counts.argmax()])
    odd = np.flatnonzero(lengths != usual)
    if len(odd):
        shown = ", ".join(f"{names[row]!r} ({lengths[row]:,})" for row in odd[:3].tolist())
        raise BadEvidence(
            f"{given.name} is not aligned: without insertions (small letters) most rows have {usual:,} columns, and "
            f"{len(odd):,} of {len(rows):,} have others: {shown}. Align the sequences first; "
            "`proteinx db align` does so."
        )
    return kept
