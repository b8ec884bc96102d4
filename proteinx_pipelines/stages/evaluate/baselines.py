"""Baseline predictors without a trained model.

The first four are in every report: the training mean, the distance to the wild type, BLOSUM62 and the additive model.
If a language model scored the variants (`embedding.zero_shot`), its score is one more baseline; it has seen no
measurement. An alignment gives one too: log-odds of its columns, summed over mutations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.evidence.values import (
    PRIOR,
    PRIOR_STRUCTURE,
    MutationsAt,
    expected_effects,
    has,
    log_odds,
)
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence, Split, VariantTable
from proteinx_pipelines.stages.evaluate.additive import additive_predictions
from proteinx_pipelines.stages.evaluate.predict import Predictions

_LETTERS_PER_CHUNK = 1 << 23
"""Residues compared with their template at once (8 MiB)."""


@dataclass(frozen=True)
class Baseline:
    """One trivial predictor, evaluated on the same rows as the model."""

    name: str
    title: str
    prediction: np.ndarray
    """float64 [P], row i belongs to `rows[i]` of the model's predictions."""
    in_target_units: bool
    """False for a mere ranking: errors such as MSE are left out."""


def make_baselines(
    variants: VariantTable, split: Split, test: Predictions, embedding: Embedding
) -> list[Baseline]:
    """Compute every baseline that these variants allow, for the rows of `test`.

    Args:
        variants: N rows.
        split: the training rows of fold k give the mean and the effects for its test rows.
        test: P test rows and their folds.
        embedding: of those N rows; may hold a language model's own score.
    """
    baselines = [
        Baseline("training_mean", "Mean of the training targets", _means(variants, split, test), True),
        Baseline(
            "mutation_count", "Distance to the wild type (number of mutations)",
            -variants.column("mut_num")[test.rows].astype(np.float64), False,
        ),
        Baseline(
            "blosum62", "BLOSUM62 similarity to the template",
            template_similarity(variants, test.rows), False,
        ),
        Baseline(
            "additive", "Additive model (one-hot ridge, penalty 1)",
            additive_predictions(variants, split, test, embedding.tokens), True,
        ),
    ]  # fmt: skip
    column = zero_shot_column(embedding.info)
    if (of_alignment := alignment_score(variants, test.rows, embedding.evidence)) is not None:
        title = "Zero-shot log-odds of the alignment (sites independent)"
        baselines.append(Baseline("alignment", title, of_alignment, False))
    if (of_prior := prior_score(variants, test.rows, embedding.evidence)) is not None:
        by = " and the structure" if has(embedding.evidence, PRIOR_STRUCTURE) else ""
        title = f"Zero-shot effects of a prior from other assays{by}"
        baselines.append(Baseline("prior", title, of_prior, False))
    if column is not None and embedding.vectors is not None:
        score = np.asarray(embedding.vectors[test.rows, column], dtype=np.float64)
        baselines.append(Baseline("zero_shot", _zero_shot_title(embedding.info), score, False))
    return baselines


def alignment_score(variants: VariantTable, rows: np.ndarray, evidence: Evidence | None) -> np.ndarray | None:
    """Sum over mutations of log p(new) - log p(old) in the alignment, float64 [P]; None without an alignment.

    Args:
        variants: N rows.
        rows: int64 [P].
        evidence: of their templates.
    """
    if evidence is None or not has(evidence, "preferences"):
        return None
    length = evidence.arrays["preferences"].shape[1]
    at = _mutations_at(variants, rows, evidence, length)
    odds = log_odds(evidence.arrays["preferences"], at)
    return np.bincount(at.row, weights=odds, minlength=len(rows))


def prior_score(variants: VariantTable, rows: np.ndarray, evidence: Evidence | None) -> np.ndarray | None:
    """Sum over mutations of the effects that a prior predicts, by structure if it can; float64 [P], None without."""
    if evidence is None or not has(evidence, PRIOR):
        return None
    effects = evidence.arrays[PRIOR_STRUCTURE if has(evidence, PRIOR_STRUCTURE) else PRIOR]
    at = _mutations_at(variants, rows, evidence, effects.shape[1])
    return np.bincount(at.row, weights=expected_effects(effects, at), minlength=len(rows))


def _mutations_at(variants: VariantTable, rows: np.ndarray, evidence: Evidence, length: int) -> MutationsAt:
    """Mutations of rows (int64 [P]) that change a residue within the first `length` sites."""
    chosen = variants.rows.select(["source", "mutant"]).take(pa.array(rows))
    found = parse_mutants(chosen.column("mutant"))
    names = pa.array(list(evidence.sources), pa.string())
    source = pc.index_in(chosen.column("source").cast(pa.string()), value_set=names).to_numpy()
    _, index = _scores_and_index()
    kept = (found.wild_type != found.residue) & (found.position <= length)
    row = found.row[kept]
    return MutationsAt(
        row, source[row].astype(np.int64), found.position[kept] - 1, index[found.wild_type[kept]],
        index[found.residue[kept]],
    )  # fmt: skip


def zero_shot_column(info: Mapping[str, Any]) -> int | None:
    """Index of the embedding's column with the language model's own score; None if there is none.

    It is the last of the model's columns, and those of `embedding.also` follow.
    """
    if "zero_shot" not in info:
        return None
    model = info["parts"][0] if "parts" in info else info
    return int(model["width"]) - 1


def _zero_shot_title(info: Mapping[str, Any]) -> str:
    model = info["parts"][0]["name"] if "parts" in info else info["name"]
    return f"Zero-shot {str(info['zero_shot']).replace('_', ' ')} of {model}"


def _means(variants: VariantTable, split: Split, test: Predictions) -> np.ndarray:
    target = variants.column("target")
    of_fold = np.array([target[fold.train].mean() if len(fold.train) else np.nan for fold in split.folds])
    return np.asarray(of_fold[test.fold], dtype=np.float64)


def template_similarity(variants: VariantTable, rows: np.ndarray) -> np.ndarray:
    """Similarity of each sequence to its template: BLOSUM62 summed over positions, minus the template's own sum.

    The template itself has 0; a substitution adds its score minus that of keeping the residue, always < 0.
    Letters outside the twenty count 0; a sequence shorter or longer than its template is compared over the length
    that both have.

    Args:
        variants: N rows.
        rows: int64 [P].

    Returns:
        float64 [P], in half bits.
    """
    scores, index = _scores_and_index()
    found = np.zeros(len(rows))
    chosen = variants.rows.select(["source", "sequence"]).take(pa.array(rows))
    for source, template in variants.templates.items():
        of_source = np.flatnonzero(pc.equal(chosen.column("source"), source).to_numpy(zero_copy_only=False))
        wild_type = index[np.frombuffer(template.encode("ascii"), np.uint8)]
        at_once = max(1, _LETTERS_PER_CHUNK // max(1, len(template)))
        for start in range(0, len(of_source), at_once):
            here = of_source[start : start + at_once]
            letters = _letters(chosen.column("sequence").take(pa.array(here)), len(template))
            residues = np.where(letters > 0, index[letters], wild_type)
            row, position = np.nonzero(residues != wild_type)
            kept = wild_type[position]
            change = scores[kept, residues[row, position]] - scores[kept, kept]
            found[here] = np.bincount(row, weights=change, minlength=len(here))
    return found


def _scores_and_index() -> tuple[np.ndarray, np.ndarray]:
    """BLOSUM62 with a 21st residue that scores 0, and from ASCII code to its row."""
    scores = np.zeros((len(AMINO_ACIDS) + 1, len(AMINO_ACIDS) + 1))
    scores[:-1, :-1] = blosum62()
    index = np.full(256, len(AMINO_ACIDS))
    index[np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)] = np.arange(len(AMINO_ACIDS))
    return scores, index


def _letters(sequences: pa.ChunkedArray, length: int) -> np.ndarray:
    """uint8 [n, length], ASCII; 0 behind the end of a shorter sequence."""
    padded = pc.utf8_rpad(pc.utf8_slice_codeunits(sequences, 0, length), length, padding="\0")
    text = "".join(padded.to_pylist())
    return np.frombuffer(text.encode("ascii"), np.uint8).reshape(len(sequences), length)
