"""Candidate variants of one template, stored as columns of substitutions; names and sequences are built on request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.edits import rows_with_indels
from proteinx_pipelines.mutants import WILD_TYPE, joined_by_row, letter_strings, parse_mutants
from proteinx_pipelines.records import VariantTable


@dataclass(frozen=True)
class Candidates:
    """n variants of one source; substitutions row by row, positions ascending within a row."""

    source: str
    template: str
    n: int
    row: np.ndarray
    """int64 [m], ascending: variant of each substitution."""
    position: np.ndarray
    """int64 [m], from 1 in the template."""
    residue: np.ndarray
    """uint8 [m], ASCII; never the template's own."""

    @property
    def counts(self) -> np.ndarray:
        """int64 [n]: substitutions of each variant."""
        return np.bincount(self.row, minlength=self.n)

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Some of the variants (int64 [k], in that order)."""
        counts = self.counts
        starts = np.concatenate([[0], np.cumsum(counts)])[chosen]
        sizes = counts[chosen]
        offsets = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(starts, sizes) + offsets
        row = np.repeat(np.arange(len(chosen)), sizes)
        return Candidates(self.source, self.template, len(chosen), row, self.position[at], self.residue[at])

    def mutants(self, offset: int = 0) -> list[str]:
        """Names such as `A24C:D40G`, positions moved by `offset`; `WT` for the template."""
        return list(self.names(offset).to_pylist())

    def names(self, offset: int = 0) -> pa.Array:
        """`mutants` as a column, of millions in a second."""
        own = np.frombuffer(self.template.encode("ascii"), np.uint8)[self.position - 1]
        position = pa.array(self.position + offset).cast(pa.string())
        parts = pc.binary_join_element_wise(letter_strings(own), position, letter_strings(self.residue), "")
        text = joined_by_row(parts, self.row, self.n)
        return pc.if_else(pc.equal(text, ""), WILD_TYPE, text)

    def letters(self) -> np.ndarray:
        """uint8 [n, L], ASCII."""
        found = np.tile(np.frombuffer(self.template.encode("ascii"), np.uint8), (self.n, 1))
        found[self.row, self.position - 1] = self.residue
        return found

    def sequences(self) -> pa.Array:
        """Sequences as text."""
        letters = self.letters()
        ends = np.arange(self.n + 1, dtype=np.int64) * len(self.template)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(letters)]
        return pa.Array.from_buffers(pa.large_string(), self.n, buffers).cast(pa.string())

    def keys(self) -> np.ndarray:
        """uint64 [n, 2]: equal for equal variants of a source only (two 64-bit hashes, summed over substitutions)."""
        value = self.position.astype(np.uint64) * np.uint64(256) + self.residue
        found = np.zeros((self.n, 2), np.uint64)
        for column, seed in enumerate((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)):
            mixed = _mixed(value + np.uint64(seed))
            np.add.at(found[:, column], self.row, mixed)
        return found

    def table(self) -> VariantTable:
        """Variant table as the stages read it; targets are 0 and must not be read."""
        names, zeros = self.names(), np.zeros(self.n)
        rows = pa.table(
            {
                "id": pc.binary_join_element_wise(self.source, names, "/"),
                "source": pa.array([self.source] * self.n),
                "mutant": names,
                "sequence": self.sequences(),
                "target": zeros,
                "DMS_score": zeros,
                "mut_num": pa.array(self.counts, pa.int32()),
                "n_merged": pa.array(np.ones(self.n, np.int32)),
            }
        )
        return VariantTable(rows, {self.source: self.template})


def _mixed(value: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser: every bit of the result depends on every bit of the value."""
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)))


def candidates_of(source: str, template: str, mutants: Sequence[str] | pa.Array) -> Candidates:
    """Parse variant names written in template positions; names that change nothing give the template.

    Names must be well formed and fit the template; the file readers have checked both.
    """
    found = parse_mutants(mutants if isinstance(mutants, pa.Array) else pa.array(list(mutants), pa.string()))
    changes = found.wild_type != found.residue
    row, position, residue = found.row[changes], found.position[changes], found.residue[changes]
    order = np.lexsort((position, row))
    return Candidates(source, template, found.n_mutants, row[order], position[order], residue[order])


def joined(pieces: Sequence[Candidates]) -> Candidates:
    """Several sets of one source, one after the other."""
    first = pieces[0]
    starts = np.cumsum([0, *(piece.n for piece in pieces)])
    return Candidates(
        first.source,
        first.template,
        int(starts[-1]),
        np.concatenate([piece.row + start for piece, start in zip(pieces, starts, strict=False)]),
        np.concatenate([piece.position for piece in pieces]),
        np.concatenate([piece.residue for piece in pieces]),
    )


def distinct(candidates: Candidates, without: Candidates | None = None) -> Candidates:
    """Drop duplicates (the first occurrence stays, order kept) and the variants of `without`."""
    n_known = 0 if without is None else without.n
    keys = candidates.keys() if without is None else np.concatenate([without.keys(), candidates.keys()])
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: the known ones come first among equals
    kept = np.zeros(len(keys), bool)
    kept[order] = np.concatenate([[True], (keys[order[1:]] != keys[order[:-1]]).any(axis=1)])[: len(keys)]
    return candidates.take(np.flatnonzero(kept[n_known:]))


def measured_candidates(variants: VariantTable, source: str) -> tuple[Candidates, np.ndarray]:
    """Measured substitutions of a source, and their rows (int64 [n]) in the table.

    Variants with insertions or deletions are left out: designs are substitutions.
    """
    own = variants.column("source") == source
    own &= ~np.asarray(rows_with_indels(variants.rows.column("mutant")))
    rows = np.flatnonzero(own)
    names = variants.rows.column("mutant").take(pa.array(rows)).combine_chunks()
    return candidates_of(source, variants.templates[source], names), rows
