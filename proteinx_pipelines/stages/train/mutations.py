"""Tokens as mutations of a template, for the mutation kernel and boosting.

A model stores its training templates; each row is assigned to the template it differs from least, so that a
prediction needs only tokens.
"""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Embedding

_CHUNK_NUMBERS = 1 << 26


@dataclass(frozen=True)
class MutationList:
    """The mutations of n rows, ordered by row and position."""

    row: np.ndarray
    """int64 [M], ascending."""
    template: np.ndarray
    """int64 [M]: index of the row's template."""
    position: np.ndarray
    """int64 [M], from 0."""
    residue: np.ndarray
    """int64 [M]: token of the new residue."""
    n_rows: int

    @property
    def counts(self) -> np.ndarray:
        """int64 [n]: mutations of each row."""
        return np.bincount(self.row, minlength=self.n_rows)

    def take(self, rows: np.ndarray) -> "MutationList":
        """The mutations of some rows (int64 [k], ascending), numbered from 0."""
        number = np.full(self.n_rows, -1)
        number[rows] = np.arange(len(rows))
        kept = number[self.row] >= 0
        columns = (self.template[kept], self.position[kept], self.residue[kept])
        return MutationList(number[self.row[kept]], *columns, len(rows))


def template_tokens(templates: tuple[str, ...], training: np.ndarray) -> np.ndarray:
    """uint8 [T, L] tokens of templates, cut to L or padded at their ends.

    A letter that is none of the twenty (selenocysteine) is replaced by the most frequent residue of the training rows
    at that position: usable variants have substituted it. Padding there would shift every later site.

    Args:
        templates: T sequences.
        training: uint8 [n, L], tokens of the training rows.
    """
    width = training.shape[1]
    tokens = np.full((len(templates), width), len(AMINO_ACIDS), dtype=np.uint8)
    for line, text in zip(tokens, templates, strict=True):
        line[: len(text)] = [
            index if index >= 0 else _most_frequent_residue(training[:, position])
            for position, index in enumerate(map(AMINO_ACIDS.find, text[:width]))
        ]
    return tokens


def most_frequent_tokens(tokens: np.ndarray) -> np.ndarray:
    """uint8 [1, L]: the most frequent residue at each position, for data without a template.

    Padding where more than half of the rows (uint8 [n, L]) have ended, so that it occurs only at the end.
    """
    residues = np.array([_most_frequent_residue(column) for column in tokens.T], dtype=np.uint8)
    has_ended = 2 * (tokens == len(AMINO_ACIDS)).sum(axis=0) > len(tokens)
    return np.where(has_ended, np.uint8(len(AMINO_ACIDS)), residues)[None]


def _most_frequent_residue(column: np.ndarray) -> int:
    """Most frequent of the twenty residues in uint8 [n]; ties go to the first."""
    return int(np.bincount(column, minlength=len(AMINO_ACIDS))[: len(AMINO_ACIDS)].argmax())


def list_mutations(embedding: Embedding, rows: np.ndarray, templates: np.ndarray) -> MutationList:
    """List the differences of rows from their templates.

    Args:
        embedding: one-hot tokens of N rows.
        rows: int64 [n].
        templates: uint8 [T, L].

    Returns:
        The mutations, without those to padding (a shorter sequence).
    """
    assert embedding.tokens is not None
    pieces = []
    step = max(1, _CHUNK_NUMBERS // max(1, embedding.tokens.shape[1]))
    for start in range(0, len(rows), step):
        tokens = embedding.tokens[rows[start : start + step]]
        distance = np.stack([(tokens != template).sum(axis=1) for template in templates])
        nearest = distance.argmin(axis=0)
        row, position = np.nonzero(tokens != templates[nearest])
        residue = tokens[row, position].astype(np.int64)
        kept = residue < len(AMINO_ACIDS)
        row, position, residue = row[kept], position[kept], residue[kept]
        pieces.append((row + start, nearest[row], position, residue))
    columns = [np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*pieces, strict=True)]
    if not columns:
        columns = [np.empty(0, np.int64)] * 4
    return MutationList(columns[0], columns[1], columns[2], columns[3], len(rows))
