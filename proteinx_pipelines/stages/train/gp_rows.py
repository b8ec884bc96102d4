"""Training rows of a Gaussian process in the form that its kernel compares, and their export.

Mutations of a template for the mutation kernel, residues for `sites` (`residue_rows`), vectors for the others. For
one-hot tokens, the vectors are the columns of positions that vary in training, and one more: the distance of a row from
the residues that all training rows share. It replaces all omitted columns exactly, since those are constant among
training rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.evidence_sites import sites_in
from proteinx_pipelines.stages.train.kernels import Kernel, LinearKernel, MutationKernel, RbfKernel
from proteinx_pipelines.stages.train.mutations import (
    MutationList,
    list_mutations,
    most_frequent_tokens,
    template_tokens,
)
from proteinx_pipelines.stages.train.residue_grid import ResidueGrid, gaussian_factor
from proteinx_pipelines.stages.train.residue_rows import NAME as SITES
from proteinx_pipelines.stages.train.residue_rows import ResidueRows, residue_rows, restore_residue_rows

_COLUMNS = ("row", "template", "position", "residue")


@dataclass(frozen=True)
class MutationRows:
    """Rows as mutations."""

    templates: np.ndarray
    """uint8 [T, L]."""
    training: MutationList
    kernel: Kernel
    name: str = "mutation"

    @property
    def is_additive(self) -> bool:
        """True if a row's value is the sum of the values of its mutations."""
        return isinstance(self.kernel, MutationKernel | EvidenceKernel) and self.kernel.is_additive

    def of(self, embedding: Embedding, rows: np.ndarray) -> MutationList:
        """Represent rows as their differences from the templates."""
        return list_mutations(embedding, rows, self.templates)

    def take(self, index: np.ndarray) -> MutationList:
        """The mutations of some training rows."""
        return self.training.take(index)

    def settings(self) -> dict[str, Any]:
        """Name and form of the kernel."""
        return {
            "kernel": self.name,
            "n_rows": self.training.n_rows,
            "epistasis": not self.is_additive,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """Templates and mutations; arrays of the evidence that the kernel compares."""
        sites = self.kernel.sites.tensors() if isinstance(self.kernel, EvidenceKernel) else {}
        return {
            "templates": self.templates,
            **{name: getattr(self.training, name).astype(np.int64) for name in _COLUMNS},
            **sites,
        }


@dataclass(frozen=True)
class VectorRows:
    """Rows as centred vectors."""

    training: np.ndarray
    """float64 [n, p]; for one-hot tokens the last column is the distance from the shared residues, here zeros."""
    means: np.ndarray
    """float64 [p], subtracted."""
    positions: np.ndarray | None
    """int64 [P]: positions of one-hot tokens that vary in training; None for vectors."""
    shared: np.ndarray | None
    """uint8 [L]: tokens of one training row, shared by all at positions that do not vary; None for vectors."""
    kernel: Kernel
    name: str

    def of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """float64 [m, p]; for one-hot tokens the last column is the distance from the shared residues."""
        centred = _vectors(embedding, rows, self.positions) - self.means
        if self.positions is None:
            return np.asarray(centred)
        return np.column_stack([centred, np.sqrt(self.squared_distance(embedding, rows))])

    def squared_distance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Squared distance of one-hot rows from the shared residues, float64 [m]: 2 per residue, 1 per padding."""
        assert embedding.tokens is not None
        assert self.shared is not None
        tokens = embedding.tokens[rows]
        differs = tokens != self.shared
        differs[:, self.positions] = False  # these have columns of their own
        has_padding = differs & (np.maximum(tokens, self.shared) == len(AMINO_ACIDS))
        return np.asarray(2.0 * differs.sum(axis=1) - has_padding.sum(axis=1))

    def residues(self) -> np.ndarray:
        """uint8 [n, P]: residue of the training rows at each of `positions`, 20 for padding."""
        one_hot = (self.training[:, :-1] + self.means).reshape(len(self.training), -1, len(AMINO_ACIDS))
        letters = one_hot > 0.5  # 0 or 1, rounded
        return np.where(letters.any(axis=2), letters.argmax(axis=2), len(AMINO_ACIDS)).astype(np.uint8)

    def residues_of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """uint8 [m, P]: residues of any rows at `positions`."""
        assert embedding.tokens is not None
        return np.asarray(embedding.tokens[rows][:, self.positions])

    def grid(self, parameters: np.ndarray, n_letters: int) -> ResidueGrid:
        """The rbf kernel on all combinations at `positions`."""
        assert self.positions is not None
        factor = gaussian_factor(float(np.exp(parameters[1])), n_letters)
        return ResidueGrid(float(np.exp(parameters[0])), factor, len(self.positions))

    def elsewhere(self, embedding: Embedding, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Factor of the rbf kernel by what differs where all training rows agree, float64 [m]; 1 where nothing does."""
        return np.asarray(np.exp(-self.squared_distance(embedding, rows) / (2 * np.exp(parameters[1]))))

    def take(self, index: np.ndarray) -> np.ndarray:
        """float64 [k, p]."""
        return np.asarray(self.training[index])

    def settings(self) -> dict[str, Any]:
        """Name of the kernel."""
        return {"kernel": self.name}

    def tensors(self) -> dict[str, np.ndarray]:
        """Vectors, or residues and their positions; and means."""
        if self.positions is None:
            return {"training": self.training, "means": self.means}
        assert self.shared is not None
        return {
            "residues": self.residues(),
            "means": self.means,
            "positions": self.positions.astype(np.int64),
            "shared": self.shared,
        }


GridRows = VectorRows | ResidueRows
"""Rows that may be compared on the grid of all residues at the positions that vary."""
GpRows = MutationRows | GridRows
"""Training rows; `of` converts other rows to the same form."""


def describe_rows(
    embedding: Embedding, rows: np.ndarray, templates: tuple[str, ...], kernel: str | None
) -> GpRows:
    """Prepare training rows for a kernel by name; None selects `mutation` for one-hot tokens and `rbf` for vectors.

    Args:
        embedding: one-hot tokens or vectors.
        rows: int64 [n], ascending.
        templates: of the variants' sources; the most frequent residues if there are none.
        kernel: `mutation`, `rbf`, `linear`, `sites` or None.

    Raises:
        FlagError: the rows vary at too many positions for `sites`.
    """
    if kernel == SITES:
        return residue_rows(embedding, rows)
    name = kernel or ("mutation" if embedding.tokens is not None else "rbf")
    if name == "mutation":
        assert embedding.tokens is not None
        seen = embedding.tokens[rows]
        known = template_tokens(templates, seen) if templates else most_frequent_tokens(seen)
        training = list_mutations(embedding, rows, known)
        return MutationRows(
            known, training, MutationKernel(known, epistasis=bool((training.counts > 1).any()))
        )
    positions = shared = None
    if embedding.tokens is not None:
        seen = embedding.tokens[rows]
        positions, shared = np.flatnonzero((seen != seen[0]).any(axis=0)), seen[0]
    vectors = _vectors(embedding, rows, positions)
    means = vectors.mean(axis=0)
    centred = vectors - means
    scale = max(float((centred**2).sum(axis=1).mean()), 1e-12)
    as_seen = centred if positions is None else _with_no_distance(centred)
    return VectorRows(as_seen, means, positions, shared, _vector_kernel(name, scale), name)


def restore_rows(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> GpRows:
    """Rebuild training rows from exported settings and tensors."""
    name = settings["kernel"]
    if name == SITES:
        return restore_residue_rows(tensors)
    if name == "mutation":
        row, template, position, residue = (tensors[column] for column in _COLUMNS)
        training = MutationList(row, template, position, residue, settings["n_rows"])
        templates, epistasis = tensors["templates"], settings["epistasis"]
        sites = sites_in(tensors, templates)
        if sites is None:
            return MutationRows(templates, training, MutationKernel(templates, epistasis=epistasis))
        return MutationRows(templates, training, EvidenceKernel(templates, sites, epistasis=epistasis))
    means, vectors = tensors["means"], tensors.get("training")
    if vectors is None:
        vectors = _with_no_distance(_one_hot(tensors["residues"], len(AMINO_ACIDS)) - means)
    # The start of the kernel's parameters is irrelevant here: they are already fitted.
    positions, shared = (tensors["positions"], tensors["shared"]) if "residues" in tensors else (None, None)
    return VectorRows(vectors, means, positions, shared, _vector_kernel(name, 1.0), name)


def _with_no_distance(training: np.ndarray) -> np.ndarray:
    """Append a zero column, float64 [n, p + 1]: training rows have distance 0 from the residues they share."""
    return np.pad(training, ((0, 0), (0, 1)))


def _vector_kernel(name: str, scale: float) -> Kernel:
    return LinearKernel(scale) if name == "linear" else RbfKernel(scale)


def _vectors(embedding: Embedding, rows: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """float64 [n, p]: vectors, or the one-hot columns of some positions."""
    if positions is None:
        return embedding.dense(rows).astype(np.float64)
    assert embedding.tokens is not None
    return _one_hot(embedding.tokens[rows][:, positions], len(embedding.alphabet))


def _one_hot(tokens: np.ndarray, n_letters: int) -> np.ndarray:
    """float64 [n, P * letters] of uint8 [n, P] tokens."""
    letters = np.arange(n_letters, dtype=np.uint8)
    width = tokens.shape[1] * n_letters
    return np.asarray((tokens[:, :, None] == letters).reshape(len(tokens), width), dtype=np.float64)
