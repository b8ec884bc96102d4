"""Learning of a prior: ridge regression of ranks of scores on features of single substitutions, over many assays.

Every assay counts alike up to `MOST_ROWS` rows. Related assays form a family; families are spread over at most
`MOST_GROUPS` groups, and the weights are solved once with all groups and once without each, from the same sums.
Each assay's own weights are drawn towards the mean; the principal directions of what is left, measured by their
predictions, are the modes: a stability screen and a growth assay differ along few of them. With enough families,
`new_positions_learning` and `known_positions_learning` add the models that `auto` predicts with beside processes, and
`structure_effects_learning` one of effects by structure, if enough of the families have structures.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.evidence.relatives import families
from proteinx_pipelines.metrics import average_ranks, compute
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.known_positions_learning import learn_known_positions
from proteinx_pipelines.stages.train.new_positions_learning import (
    FEWEST_FAMILIES,
    FEWEST_POSITIONS,
    learn_new_positions,
)
from proteinx_pipelines.stages.train.prior import MODES, Member, Prior, predict, predict_each
from proteinx_pipelines.stages.train.prior_features import changes_of, prior_features
from proteinx_pipelines.stages.train.structure_effects import ProteinSites, predicted
from proteinx_pipelines.stages.train.structure_effects_learning import learn_structure_effects

MOST_ROWS = 1200
"""Rows of one assay that are used, drawn by a seed; further rows count no more."""
FEWEST_ROWS = 50
MOST_GROUPS = 10
PENALTY = 2000.0
"""Of the squared weights, in rows; chosen on whole families left out."""
OWN_PENALTY = 2000.0
"""Of the squared deviations of an assay's weights from the mean, in rows."""
_OWN_SHARE = 1.15
"""Covariance of a residue with itself, without noise, over that with those most like it."""


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
    sites: ProteinSites | None = None
    """In the protein's structure; None without one."""


@dataclass(frozen=True)
class Learned:
    """A prior, and how well it predicts what it has not seen."""

    prior: Prior
    spearman: Mapping[str, float]
    """Assay -> Spearman of its scores with effects predicted without its group."""
    skipped: Mapping[str, str]
    """Assay -> reason."""
    spearman_by_structure: Mapping[str, float]
    """The same with effects by sequence and structure; only assays with a structure, none if that is not learned."""


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
    totals: list[Any] = [0.0] * n_groups
    for assay in usable:
        progress(assay.name)
        gram, total = _sums(assay, seed)
        grams[group[assay.name]] = grams[group[assay.name]] + gram
        totals[group[assay.name]] = totals[group[assay.name]] + total
    all_gram, all_total = sum(grams), sum(totals)
    means = [_solve(all_gram, all_total)]
    means += [_solve(all_gram - gram, all_total - total) for gram, total in zip(grams, totals, strict=True)]
    number = np.array([group[assay.name] for assay in usable])
    own = _own_weights(usable, np.array(means), seed)
    weights = []
    for left_out, mean in enumerate(means, -1):
        kept = number != left_out
        gram = all_gram if left_out < 0 else all_gram - grams[left_out]
        weights.append(np.vstack([mean, _modes(own[kept, left_out + 1] - mean, gram)]))
    exchange = _exchanges(usable, number, np.array(means))
    networks: dict[str, Any] = {}
    if len(set(family.values())) >= FEWEST_FAMILIES:
        without = _without_each(grams, totals)

        def effects(assay: Assay) -> np.ndarray:
            return predict_each(without(group[assay.name]), assay.template)

        networks["known_positions"] = learn_known_positions(usable, group, effects, exchange, _tokens, seed)
        of_many_positions = [assay for assay in usable if len(np.unique(assay.position)) >= FEWEST_POSITIONS]
        for name, by_structure in (("new_positions", False), ("new_positions_by_structure", True)):
            chosen = [assay for assay in of_many_positions if assay.sites is not None or not by_structure]
            if _are_enough(chosen, family, group):
                networks[name] = learn_new_positions(
                    chosen, group, effects, _tokens, seed, by_structure=by_structure
                )
        with_sites = [assay for assay in usable if assay.sites is not None]
        if _are_enough(with_sites, family, group):
            networks["structure_effects"] = learn_structure_effects(
                with_sites, group, effects, lambda assay: _rows_drawn(assay, seed), _tokens, seed
            )
    members = tuple(Member(assay.name, assay.template, group[assay.name]) for assay in usable)
    prior = replace(Prior(np.asarray(weights, np.float32), exchange, members, facts=facts), **networks)
    judged = {assay.name: _judge(assay, prior.weights[1 + group[assay.name]]) for assay in usable}
    judged_by_structure = {
        assay.name: _judge_by_structure(assay, prior, 1 + group[assay.name])
        for assay in usable
        if assay.sites is not None and prior.structure_effects is not None
    }
    return Learned(prior, judged, skipped, judged_by_structure)


def _are_enough(assays: Sequence[Assay], family: Mapping[str, int], group: Mapping[str, int]) -> bool:
    """True if these assays are of `FEWEST_FAMILIES`, and of half as many without any group."""
    kept = [
        len({family[assay.name] for assay in assays if group[assay.name] != left_out})
        for left_out in range(-1, 1 + max(group.values()))
    ]
    return kept[0] >= FEWEST_FAMILIES and min(kept) >= FEWEST_FAMILIES // 2


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


def _without_each(grams: Sequence[np.ndarray], totals: Sequence[np.ndarray]) -> Callable[[int], np.ndarray]:
    """Function of a group: mean weights without it, then without it and group 0, 1, ..., float64 [1 + G, p]."""

    @cache
    def without(one: int, other: int) -> np.ndarray:
        kept = [each for each in range(len(grams)) if each not in (one, other)]
        nothing = np.zeros_like(grams[0]), np.zeros_like(totals[0])
        return _solve(
            sum((grams[each] for each in kept), nothing[0]), sum((totals[each] for each in kept), nothing[1])
        )

    def of_group(own: int) -> np.ndarray:
        pairs = [(own, own), *((min(own, other), max(own, other)) for other in range(len(grams)))]
        return np.stack([without(*pair) for pair in pairs])

    return of_group


def _own_weights(assays: Sequence[Assay], means: np.ndarray, seed: int) -> np.ndarray:
    """Weights of each assay drawn towards each mean (float64 [m, p]), float32 [assays, m, p].

    With n rows fewer than columns: w = mean + X' (X X' + penalty)^-1 (y - X mean).
    """
    from scipy import linalg

    found = np.empty((len(assays), *means.shape), np.float32)
    for line, assay in zip(found, assays, strict=True):
        features, target = _drawn(assay, seed)
        inner = (features @ features.T).astype(np.float64)
        inner[np.diag_indices(len(inner))] += OWN_PENALTY
        left = target[:, None] - features @ means.T
        line[:] = means + (features.T @ linalg.solve(inner, left, assume_a="pos")).T
    return found


def _exchanges(assays: Sequence[Assay], group: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Covariance of residues at one site after the prior, of all assays and without each group: float32 [m, 20, 20].

    Of residuals by weights that have not seen the assay's group, in units of their deviation; every assay counts
    alike. The diagonal, which holds the noise of single measurements, is cut to a little more than what a residue
    shares with those most like it.
    """
    n = len(AMINO_ACIDS)
    sums, counts = np.zeros((len(means), n, n)), np.zeros((len(means), n, n))
    for assay, number in zip(assays, group, strict=True):
        expected = predict(means[[1 + number]], assay.template)[0, assay.position, assay.new]
        target = _normal_scores(assay.score)
        left = target - np.polyval(np.polyfit(expected, target, 1), expected)
        table = np.full((len(assay.template), n), np.nan)
        table[assay.position, assay.new] = left / max(float(left.std()), 1e-9)
        known = np.isfinite(table)
        table = np.nan_to_num(table)
        of_all = np.arange(len(means)) != 1 + number
        share = 1 / max(1, int(known.any(axis=1).sum()))
        sums[of_all] += share * (table.T @ table)
        counts[of_all] += share * (known.T.astype(np.float64) @ known)
    return np.stack(
        [_without_noise(total / np.maximum(count, 1e-9)) for total, count in zip(sums, counts, strict=True)]
    )


def _without_noise(covariance: np.ndarray) -> np.ndarray:
    """Positive semi-definite float32 [20, 20] with diagonals of at most `_OWN_SHARE` times the next largest."""
    found = covariance.copy()
    np.fill_diagonal(found, -np.inf)
    most_alike = np.sort(found, axis=1)[:, -3:].mean(axis=1)
    np.fill_diagonal(found, np.minimum(np.diag(covariance), np.maximum(_OWN_SHARE * most_alike, 0.0)))
    values, vectors = np.linalg.eigh((found + found.T) / 2)
    return np.asarray((vectors * np.maximum(values, 1e-4)) @ vectors.T, np.float32)


def _modes(deviations: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Principal directions of the assays' deviations by what they predict, float64 [MODES, p].

    Zeros beyond the number of assays. Each is as long as the deviations along it are on average.

    Args:
        deviations: float [assays, p].
        gram: float64 [p, p], features times features over all rows.
    """
    deviations = deviations.astype(np.float64)
    alike = deviations @ gram @ deviations.T
    values, vectors = np.linalg.eigh(alike)
    chosen = [k for k in np.argsort(-values)[:MODES] if values[k] > 0]
    found = np.zeros((MODES, deviations.shape[1]))
    for row, k in enumerate(chosen):
        # vectors[:, k]' deviations predicts with the variance values[k]: of one assay on average, values[k] / assays.
        direction = vectors[:, k] @ deviations / np.sqrt(len(deviations))
        largest = int(np.argmax(np.abs(direction)))
        found[row] = direction * np.sign(direction[largest])
    return found


def _drawn(assay: Assay, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of at most `MOST_ROWS` rows: float32 [n, p] and float64 [n]."""
    rows, target = _rows_drawn(assay, seed)
    return prior_features(_tokens(assay.template), assay.position[rows], assay.new[rows]), target


def _rows_drawn(assay: Assay, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_ROWS` rows and their targets: int64 [n] and float64 [n]."""
    n, random = len(assay.score), np.random.default_rng([seed, len(assay.score)])
    rows = np.sort(random.choice(n, min(n, MOST_ROWS), replace=False))
    return rows, _normal_scores(assay.score)[rows]


def _sums(assay: Assay, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features times features, and times normal scores of ranks: float64 [p, p] and [p]."""
    features, target = _drawn(assay, seed)
    return (features.T @ features).astype(np.float64), features.T.astype(np.float64) @ target


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
    return compute("spearman", assay.score, effects[0, assay.position, assay.new].astype(np.float64))


def _judge_by_structure(assay: Assay, prior: Prior, row: int) -> float:
    assert prior.structure_effects is not None
    assert assay.sites is not None
    by_sequence = predict(prior.weights[row], assay.template)[0]
    effects = predicted(prior.structure_effects[row], by_sequence, assay.template, assay.sites.features)
    return compute("spearman", assay.score, effects[assay.position, assay.new].astype(np.float64))


def _tokens(template: str) -> np.ndarray:
    return changes_of(template)[0]
