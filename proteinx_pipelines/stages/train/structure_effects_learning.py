"""Learning of the network of `structure_effects`, from assays of proteins with structures.

One network of all assays, and one without each group of families. The effects of the prior that describe an assay's
rows were learned without its own group and without the group that is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.evidence.gather import GivenEvidence, gather
from proteinx_pipelines.evidence.values import has
from proteinx_pipelines.stages.train.site_network_learning import train_network
from proteinx_pipelines.stages.train.structure_effects import described, site_features

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior_learning import Assay

DROPOUT = 0.3
"""Chosen, as the columns were, on families left out; 0.2 and 0.4 are as good."""
_EQUAL_ROWS = 500
"""Rows of an assay below which its rows do not count more."""

Drawn = Callable[["Assay"], tuple[np.ndarray, np.ndarray]]


def sites_of(given: GivenEvidence, name: str, template: str) -> np.ndarray | None:
    """Sites of one source's structure, float64 [L, c]; None if it has none that fits its template.

    Raises:
        BadEvidence: the file cannot be read.
    """
    evidence = gather(given, {name: template})
    if evidence is None or not has(evidence, "structure"):
        return None
    return site_features(evidence.arrays["structure"][0], evidence.arrays["packing"][0])


def learn_structure_effects(
    assays: Sequence["Assay"],
    group: Mapping[str, int],
    effects: Callable[["Assay"], np.ndarray],
    drawn: Drawn,
    tokens: Callable[[str], np.ndarray],
    seed: int,
) -> np.ndarray:
    """Networks of all assays, then without group 0, 1, ..., float16 [1 + G, `n_weights()`].

    Args:
        assays: to learn from, all with `sites`.
        group: assay -> group of families, from 0, of these and other assays.
        effects: assay -> float64 [1 + G, L, 20], effects learned without the assay's group, and without group 0, 1, ...
            besides.
        drawn: assay -> int64 [n], rows to learn from, and float64 [n], their normal scores.
        tokens: template -> int64 [L].
        seed: of the first weights and the order of rows.
    """
    expected = {assay.name: effects(assay) for assay in assays}
    chosen = {assay.name: drawn(assay) for assay in assays}

    def features(assay: "Assay", left_out: int) -> np.ndarray:
        rows = chosen[assay.name][0]
        assert assay.sites is not None
        values, template = expected[assay.name][1 + left_out], tokens(assay.template)
        return described(values, template, assay.sites, assay.position[rows], assay.new[rows])

    networks = []
    for left_out in range(-1, 1 + max(group.values())):
        kept = [assay for assay in assays if group[assay.name] != left_out]
        target = np.concatenate([chosen[assay.name][1] for assay in kept]).astype(np.float32)
        sizes = [len(chosen[assay.name][1]) for assay in kept]
        weight = np.concatenate([np.full(size, 1.0 / max(size, _EQUAL_ROWS)) for size in sizes])
        described_rows = np.concatenate([features(assay, left_out) for assay in kept])
        network = train_network(described_rows, target, weight / weight.mean(), seed, dropout=DROPOUT)
        networks.append(network.line())
    return np.asarray(networks, np.float16)
