"""Learning of a prior: ridge regression of ranks of scores on features of single substitutions, over many assays.

Every assay counts alike up to `MOST_ROWS` rows. Related assays form a family; families are spread over at most
`MOST_GROUPS` groups, and the weights are solved once with all groups and once without each, from the same sums.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.evidence.relatives import families
from proteinx_pipelines.metrics import average_ranks, compute
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.prior import Member, Prior, predict
from proteinx_pipelines.stages.train.prior_features import prior_features

MOST_ROWS = 1200
"""Rows of one assay that are used, drawn by a seed; further rows count no more."""
FEWEST_ROWS = 50
MOST_GROUPS = 10
PENALTY = 2000.0
"""Of the squared weights, in rows; chosen on whole families left out."""
_AT_ONCE = 4000


@dataclass(frozen=True)
class Assay:
    """Single substitutions of one template with scores, the higher the better."""

    name: str
    template: str
    position: np.ndarray
    """int64 [n], from 0."""
    new: np.ndarray
    """int64 [n], tokens."""
    score: np.ndarray
    """float64 [n]."""


@dataclass(frozen=True)
class Learned:
    """A prior, and how well it predicts what it has not seen."""

    prior: Prior
    spearman: Mapping[str, float]
    """Assay -> Spearman of its scores with effects predicted without its group."""
    skipped: Mapping[str, str]
    """Assay -> reason."""


def assay_of(name: str, template: str, mutants: Iterable[str | None], scores: np.ndarray) -> Assay:
    """Take the single substitutions that fit a template.

    Args:
        name: of the source.
        template: its sequence.
        mutants: n of them, in the numbering of the template.
        scores: float64 [n]; rows without a score are left out.
    """
    listed = list(mutants)
    found = parse_mutants(listed)
    index = np.full(256, -1, np.int64)
    index[np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)] = np.arange(len(AMINO_ACIDS))
    letters = np.frombuffer(template.encode("ascii", "replace"), np.uint8)
    new = index[found.residue]
    inside = found.position <= len(template)
    kept = (found.counts[found.row] == 1) & inside & (new >= 0) & np.isfinite(scores[found.row])
    fits = letters[np.minimum(found.position, len(template)) - 1] == found.wild_type
    kept &= fits & (index[found.wild_type] >= 0) & (found.wild_type != found.residue)
    return Assay(name, template, found.position[kept] - 1, new[kept], scores[found.row[kept]])


def learn(
    assays: Iterable[Assay],
    *,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda _name: None,
) -> Learned:
    """Learn a prior.

    Args:
        assays: of proteins; several of one protein are one family.
        seed: of the draw of rows.
        facts: kept in the file.
        progress: called with the name of each assay.

    Raises:
        InputError: fewer than two families remain.
    """
    usable, skipped = [], {}
    for assay in assays:
        reason = _problem(assay)
        if reason:
            skipped[assay.name] = reason
        else:
            usable.append(assay)
    family = families({assay.name: assay.template for assay in usable})
    if len(set(family.values())) < 2:
        told = "".join(f" {name}: {why}." for name, why in skipped.items())
        raise InputError(
            f"{len(usable)} assays of {len(set(family.values()))} families can be used; two families at least are "
            f"expected, so that a prior without the relatives of a protein is left.{told}"
        )
    group = _spread(family, {assay.name: min(len(assay.score), MOST_ROWS) for assay in usable})
    n_groups = max(group.values()) + 1
    grams: list[Any] = [0.0] * n_groups
    sums: list[Any] = [0.0] * n_groups
    for assay in usable:
        progress(assay.name)
        gram, total = _sums(assay, np.random.default_rng([seed, len(assay.score)]))
        grams[group[assay.name]] = grams[group[assay.name]] + gram
        sums[group[assay.name]] = sums[group[assay.name]] + total
    all_gram, all_sum = sum(grams), sum(sums)
    weights = [_solve(all_gram, all_sum)]
    weights += [_solve(all_gram - gram, all_sum - total) for gram, total in zip(grams, sums, strict=True)]
    members = tuple(Member(assay.name, assay.template, group[assay.name]) for assay in usable)
    prior = Prior(np.asarray(weights, np.float32), members, facts=facts)
    judged = {assay.name: _judge(assay, prior.weights[1 + group[assay.name]]) for assay in usable}
    return Learned(prior, judged, skipped)


def _problem(assay: Assay) -> str:
    if len(assay.score) < FEWEST_ROWS:
        return f"{len(assay.score)} single substitutions with a score, at least {FEWEST_ROWS} are expected"
    if np.ptp(assay.score) == 0:
        return "all scores are equal"
    return ""


def _spread(family: Mapping[str, int], rows: Mapping[str, int]) -> dict[str, int]:
    """Spread families over groups, the largest first, each to the group with the fewest rows."""
    sizes: dict[int, int] = {}
    for name, number in family.items():
        sizes[number] = sizes.get(number, 0) + rows[name]
    totals = [0] * min(MOST_GROUPS, len(sizes))
    chosen = {}
    for number in sorted(sizes, key=lambda each: (-sizes[each], each)):
        chosen[number] = int(np.argmin(totals))
        totals[chosen[number]] += sizes[number]
    return {name: chosen[number] for name, number in family.items()}


def _sums(assay: Assay, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features times features, and times normal scores of ranks: float64 [p, p] and [p]."""
    n = len(assay.score)
    target = _normal_scores(assay.score)
    rows = np.sort(random.choice(n, min(n, MOST_ROWS), replace=False))
    tokens = _tokens(assay.template)
    features = prior_features(tokens, assay.position[rows], assay.new[rows])
    gram = (features.T @ features).astype(np.float64)
    return gram, features.T.astype(np.float64) @ target[rows]


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Quantiles of the normal distribution at the ranks, float64 [n]: the unit of every assay."""
    normal = NormalDist()
    ranks = (average_ranks(values) - 0.5) / len(values)
    distinct, index = np.unique(ranks, return_inverse=True)
    return np.array([normal.inv_cdf(float(each)) for each in distinct])[index]


def _solve(gram: np.ndarray, total: np.ndarray) -> np.ndarray:
    from scipy import linalg

    return np.asarray(linalg.solve(gram + PENALTY * np.eye(len(total)), total, assume_a="pos"))


def _judge(assay: Assay, weights: np.ndarray) -> float:
    effects = predict(weights, assay.template)
    return compute("spearman", assay.score, effects[assay.position, assay.new].astype(np.float64))


def _tokens(template: str) -> np.ndarray:
    return np.maximum(np.array([AMINO_ACIDS.find(letter) for letter in template], np.int64), 0)
