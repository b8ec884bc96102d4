"""Cut long sequences to a model's window of residues, placed around the mutations.

The window is centred on the middle of a variant's mutated positions and shifted to lie inside the sequence. Variants
with the same window share it, so that a template's states are computed once. Short sequences are not cut.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import VariantTable

_SHOWN = 5


@dataclass(frozen=True)
class Windows:
    """N sequences cut for a model, each with the matching piece of its template."""

    sequences: pa.Array
    """N texts of at most `size` residues."""
    sources: np.ndarray
    """str [N]: a name for the template's piece."""
    templates: dict[str, str]
    """Name -> piece of the template."""
    starts: np.ndarray
    """int64 [N]: start of the window in the sequence, from 0."""
    n_cut: int
    """Number of sequences that were cut."""


def cut_windows(variants: VariantTable, sequences: pa.Array, size: int, largest: int) -> Windows:
    """Cut the sequences that are longer than `size`.

    Args:
        variants: N variants; a long sequence is as long as its template.
        sequences: their sequences as one array.
        size: residues in a window.
        largest: greatest window of the model; the message advises to raise `embedding.window` only below that.

    Raises:
        BadVariants: mutations of a variant are further apart than the window, or a long sequence is not as long as
            its template. The message says what to do.
    """
    sources = variants.column("source").astype(object)
    texts, starts = sequences.to_pylist(), np.zeros(len(sequences), np.int64)
    templates, too_wide = dict(variants.templates), []
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    long = np.flatnonzero(lengths > size)
    for row in long:
        text, template = texts[row], variants.templates[sources[row]]
        at = _mutated(text, template)
        if at is None or (len(at) and at[-1] - at[0] >= size):
            too_wide.append(int(row))
            continue
        start = _start(at, len(text), size)
        starts[row], texts[row] = start, text[start : start + size]
        piece = f"{sources[row]}@{start}"
        templates[piece], sources[row] = template[start : start + size], piece
    if too_wide:
        raise BadVariants(_complaint(variants, too_wide, size, largest))
    cut = pa.array(texts, sequences.type) if len(long) else sequences
    return Windows(cut, sources, templates, starts, len(long))


def _start(at: np.ndarray, length: int, size: int) -> int:
    """Start of the window: centred on the mutations, inside the sequence, containing every mutation."""
    middle = (at[0] + at[-1]) // 2 if len(at) else length // 2
    start = int(np.clip(middle - size // 2, 0, length - size))
    # A span as wide as the window fits in one place only, half a residue off its centre.
    return int(np.clip(start, at[-1] - size + 1, at[0])) if len(at) else start


def _mutated(text: str, template: str) -> np.ndarray | None:
    """Positions (from 0, ascending) where a sequence differs from its template; None when lengths differ."""
    if len(text) != len(template):
        return None
    own, other = (np.frombuffer(each.encode("ascii"), np.uint8) for each in (text, template))
    return np.flatnonzero(own != other)


def larger_window(size: int, largest: int) -> str:
    """Start of the advice for sequences that are too long: a larger window, if the model has one."""
    return f"Raise `embedding.window` (to {largest:,} at most), use" if size < largest else "Use"


def _complaint(variants: VariantTable, rows: list[int], size: int, largest: int) -> str:
    shown = ", ".join(variant_names(variants, rows[:_SHOWN]))
    return (
        f"{len(rows)} variants have mutations further apart than the {size} residues that the model sees at once, or "
        f"another length than their template ({shown}{', ...' * (len(rows) > _SHOWN)}). {larger_window(size, largest)} "
        "the mutated domain as template, or choose a representation without a model."
    )
