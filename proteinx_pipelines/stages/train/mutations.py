"""Tokens as mutations of a template: what the mutation kernel and boosting work on.

A model remembers the templates it was trained with; a row belongs to the one that it differs from least, so
that a prediction needs tokens and nothing else.
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


def template_tokens(templates: tuple[str, ...], width: int) -> np.ndarray:
    """uint8 [T, L] tokens of templates, padded or cut to `width`; letters that are none of the twenty pad."""
    tokens = np.full((len(templates), width), len(AMINO_ACIDS), dtype=np.uint8)
    for line, text in zip(tokens, templates, strict=True):
        known = [AMINO_ACIDS.find(letter) for letter in text[:width]]
        line[: len(known)] = [index if index >= 0 else len(AMINO_ACIDS) for index in known]
    return tokens


def most_frequent_tokens(tokens: np.ndarray) -> np.ndarray:
    """uint8 [1, L]: the most frequent token at each position, for data without a template."""
    counts = [np.bincount(column, minlength=len(AMINO_ACIDS) + 1) for column in tokens.T]
    return np.array([[count.argmax() for count in counts]], dtype=np.uint8)


def list_mutations(embedding: Embedding, rows: np.ndarray, templates: np.ndarray) -> MutationList:
    """Where the rows differ from their templates.

    Args:
        embedding: One-hot tokens of N rows.
        rows: int64 [n].
        templates: uint8 [T, L].

    Returns:
        Mutations to padding (a shorter sequence) are left out.
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
