"""Training rows of a Gaussian process in the form that its kernel compares, and how they are exported.

Mutations of a template for the mutation kernel, vectors for the others; of one-hot tokens only the columns of
positions that vary in training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train.kernels import Kernel, LinearKernel, MutationKernel, RbfKernel
from proteinx_pipelines.stages.train.mutations import (
    MutationList,
    list_mutations,
    most_frequent_tokens,
    template_tokens,
)

_COLUMNS = ("row", "template", "position", "residue")


@dataclass(frozen=True)
class MutationRows:
    """Rows as mutations."""

    templates: np.ndarray
    """uint8 [T, L]."""
    training: MutationList
    kernel: Kernel
    name: str = "mutation"

    def of(self, embedding: Embedding, rows: np.ndarray) -> MutationList:
        """Where the rows differ from their templates."""
        return list_mutations(embedding, rows, self.templates)

    def take(self, index: np.ndarray) -> MutationList:
        """The mutations of some training rows."""
        return self.training.take(index)

    def settings(self) -> dict[str, Any]:
        """The kernel's name and form."""
        return {"kernel": self.name, "n_rows": self.training.n_rows, "epistasis": len(self.kernel.start) > 2}

    def tensors(self) -> dict[str, np.ndarray]:
        """Templates and mutations."""
        return {
            "templates": self.templates,
            **{name: getattr(self.training, name).astype(np.int64) for name in _COLUMNS},
        }


@dataclass(frozen=True)
class VectorRows:
    """Rows as centred vectors."""

    training: np.ndarray
    """float64 [n, p]."""
    means: np.ndarray
    """float64 [p], subtracted."""
    positions: np.ndarray | None
    """int64 [P]: positions of one-hot tokens that vary in training; None for vectors."""
    kernel: Kernel
    name: str

    def of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """float64 [m, p]."""
        return np.asarray(_vectors(embedding, rows, self.positions) - self.means)

    def residues(self) -> np.ndarray:
        """uint8 [n, P]: the training rows' residue at each of `positions`, 20 for padding."""
        one_hot = (self.training + self.means).reshape(len(self.training), -1, len(AMINO_ACIDS))
        letters = one_hot > 0.5  # 0 or 1, rounded
        return np.where(letters.any(axis=2), letters.argmax(axis=2), len(AMINO_ACIDS)).astype(np.uint8)

    def residues_of(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """uint8 [m, P]: those of any rows."""
        assert embedding.tokens is not None
        return np.asarray(embedding.tokens[rows][:, self.positions])

    def take(self, index: np.ndarray) -> np.ndarray:
        """float64 [k, p]."""
        return np.asarray(self.training[index])

    def settings(self) -> dict[str, Any]:
        """The kernel's name."""
        return {"kernel": self.name}

    def tensors(self) -> dict[str, np.ndarray]:
        """Vectors, or residues and their positions; and means."""
        if self.positions is None:
            return {"training": self.training, "means": self.means}
        residues = self.residues()
        return {"residues": residues, "means": self.means, "positions": self.positions.astype(np.int64)}


GpRows = MutationRows | VectorRows
"""Training rows, and how to see others as they are seen (`of`)."""


def describe_rows(
    embedding: Embedding, rows: np.ndarray, templates: tuple[str, ...], kernel: str | None
) -> GpRows:
    """Training rows for a kernel by name; None takes `mutation` for one-hot tokens and `rbf` for vectors.

    Args:
        embedding: One-hot tokens or vectors.
        rows: int64 [n], ascending.
        templates: Of the variants' sources; the most frequent residues where there are none.
        kernel: `mutation`, `rbf`, `linear` or None.
    """
    name = kernel or ("mutation" if embedding.tokens is not None else "rbf")
    if name == "mutation":
        assert embedding.tokens is not None
        width = embedding.tokens.shape[1]
        known = (
            template_tokens(templates, width) if templates else most_frequent_tokens(embedding.tokens[rows])
        )
        training = list_mutations(embedding, rows, known)
        return MutationRows(
            known, training, MutationKernel(known, epistasis=bool((training.counts > 1).any()))
        )
    positions = None
    if embedding.tokens is not None:
        seen = embedding.tokens[rows]
        positions = np.flatnonzero((seen != seen[0]).any(axis=0))
    vectors = _vectors(embedding, rows, positions)
    means = vectors.mean(axis=0)
    centred = vectors - means
    scale = max(float((centred**2).sum(axis=1).mean()), 1e-12)
    return VectorRows(centred, means, positions, _vector_kernel(name, scale), name)


def restore_rows(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> GpRows:
    """Training rows that were exported with these settings and tensors."""
    name = settings["kernel"]
    if name == "mutation":
        row, template, position, residue = (tensors[column] for column in _COLUMNS)
        training = MutationList(row, template, position, residue, settings["n_rows"])
        kernel = MutationKernel(tensors["templates"], epistasis=settings["epistasis"])
        return MutationRows(tensors["templates"], training, kernel)
    means, vectors = tensors["means"], tensors.get("training")
    if vectors is None:
        vectors = _one_hot(tensors["residues"], len(AMINO_ACIDS)) - means
    # The start of a kernel's parameters no longer matters: they are known.
    return VectorRows(vectors, means, tensors.get("positions"), _vector_kernel(name, 1.0), name)


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
