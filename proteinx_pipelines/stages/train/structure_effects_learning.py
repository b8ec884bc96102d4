"""Learning of the network of `structure_effects`, from assays of proteins with structures.

One network of all assays, and one without each group of families. The effects of the prior that describe an assay's
rows were learned without its own group and without the group that is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.evidence.gather import GivenEvidence, gather
from proteinx_pipelines.stages.train.site_network_learning import train_without_each
from proteinx_pipelines.stages.train.structure_effects import ProteinSites, described, protein_sites

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.prior_learning import Assay

DROPOUT = 0.3
"""Chosen, as the columns were, on families left out; 0.2 and 0.4 are as good."""

Drawn = Callable[["Assay"], tuple[np.ndarray, np.ndarray]]


def sites_of_structure(given: GivenEvidence, name: str, template: str) -> ProteinSites | None:
    """Sites of one source's structure; None if it has none that fits its template.

    Raises:
        BadEvidence: the file cannot be read.
    """
    evidence = gather(given, {name: template})
    return None if evidence is None else protein_sites(evidence, 0, len(template))


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
    by_name = {assay.name: assay for assay in assays}
    expected = {assay.name: effects(assay) for assay in assays}
    chosen = {assay.name: drawn(assay) for assay in assays}

    def features(name: str, left_out: int) -> np.ndarray:
        assay, (rows, _) = by_name[name], chosen[name]
        assert assay.sites is not None
        values, template = expected[name][1 + left_out], tokens(assay.template)
        return described(values, template, assay.sites.features, assay.position[rows], assay.new[rows])

    targets = {name: target for name, (_, target) in chosen.items()}
    return train_without_each(targets, group, features, seed, dropout=DROPOUT)
