"""Sequences as arrays of bytes, grouped by length: no padding, and no Python loop over variants.

Every embedder reads sequences through this module, so unknown letters are refused here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import AMINO_ACIDS, VariantTable

_SHOWN = 20


@dataclass(frozen=True)
class LengthGroup:
    """All sequences of one length."""

    length: int
    """L, in residues."""
    rows: np.ndarray
    """int64 [n], ascending: rows of the ungrouped array."""
    letters: np.ndarray
    """uint8 [n, L], one-letter codes in ASCII."""


def checked_sequences(variants: VariantTable, *, keep_template: bool = False) -> pa.Array:
    """The column `sequence` as one array of N non-empty texts over the twenty amino acids.

    Args:
        variants: N rows.
        keep_template: other letters pass where they are a template's: U in every row is no difference.

    Raises:
        BadVariants: rows without a sequence or with other letters; the message names the first of them.
            Drop them with `transform.unknown` and `transform.stops`, or correct the template.
    """
    sequences = _as_one_array(variants.rows.column("sequence"))
    if len(sequences) == 0:
        raise BadVariants("There is no variant to embed. Widen `data.*` so that the selection has rows.")
    odd = _odd_letters(variants)
    allowed = AMINO_ACIDS + ("".join(sorted({letter for letter, _ in odd.values()})) if keep_template else "")
    if not _all_usable(sequences, allowed):
        usable = pc.match_substring_regex(pc.fill_null(sequences, ""), f"^[{allowed}]+$")
        bad = np.flatnonzero(~usable.to_numpy(zero_copy_only=False))
        raise BadVariants(_complaint_of_template(odd) if odd else _complaint(variants, sequences, bad))
    return sequences


def _odd_letters(variants: VariantTable) -> dict[tuple[str, int], tuple[str, int]]:
    """(source, position) -> template letter that is none of the twenty, and its position in the user's numbering."""
    return {
        (name, at): (letter, at + variants.offsets.get(name, 0))
        for name, template in variants.templates.items()
        for at, letter in enumerate(template, start=1)
        if letter not in AMINO_ACIDS
    }


def _complaint_of_template(odd: Mapping[tuple[str, int], tuple[str, int]]) -> str:
    listed = ", ".join(
        f"that of {name} has {letter} at {at}" for (name, _), (letter, at) in [*odd.items()][:_SHOWN]
    )
    return (
        f"A template has a letter that this representation does not know: {listed}. Import the source again with a "
        "residue there (C for U, K for O, the likeliest one for X, B, Z, J), or take `embedding.name=onehot`, which "
        "leaves out what is the same in every row."
    )


def groups_by_length(sequences: pa.Array) -> Iterator[LengthGroup]:
    """Yield the groups, longest first, so that a lack of memory shows at the start, not at the end."""
    sequences = _as_one_array(sequences)
    lengths = pc.binary_length(sequences).to_numpy(zero_copy_only=False).astype(np.int64)
    for length in np.unique(lengths)[::-1].tolist():
        rows = np.flatnonzero(lengths == length)
        yield LengthGroup(length, rows, _letters(sequences.take(pa.array(rows)), length))


def as_letters(sequence: str) -> np.ndarray:
    """uint8 [L], one-letter codes in ASCII."""
    return np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)


def _as_one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    # 64-bit offsets first: five million sequences of 448 residues pass 2 GiB, and cannot be joined with 32.
    column = column.cast(pa.large_string())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _all_usable(sequences: pa.Array, allowed: str) -> bool:
    """True if every row has residues and only known ones; ten times as fast as finding the rows that do not."""
    known = np.zeros(256, dtype=bool)
    known[as_letters(allowed)] = True
    has_residues = sequences.null_count == 0 and pc.min(pc.binary_length(sequences)).as_py() > 0
    return has_residues and bool(known[_bytes(sequences)].all())


def _letters(sequences: pa.Array, length: int) -> np.ndarray:
    return _bytes(sequences).reshape(len(sequences), length)


def _bytes(sequences: pa.Array) -> np.ndarray:
    """All letters one after the other; arrow's slices share the buffers of the whole column."""
    _, offsets, data = sequences.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[sequences.offset : sequences.offset + len(sequences) + 1]
    return np.frombuffer(data or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]


def _complaint(variants: VariantTable, sequences: pa.Array, bad: np.ndarray) -> str:
    names = variant_names(variants, bad[:_SHOWN])
    lines = []
    for name, row in zip(names, bad[:_SHOWN].tolist(), strict=True):
        sequence = sequences[row].as_py() or ""
        found = sorted(set(sequence) - set(AMINO_ACIDS))
        lines.append(f"{name}: " + (f"has {', '.join(map(repr, found))}" if found else "no residue"))
    more = f"\n  and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return (
        f"{len(bad)} of {len(sequences)} variants cannot be embedded; sequences of the letters {AMINO_ACIDS} "
        "are expected. Drop them with `transform.unknown` and `transform.stops`, or correct the template:\n  "
        + "\n  ".join(lines)
        + more
    )
