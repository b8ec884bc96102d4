"""What every network of a prior promises: the one without a group of families has not seen its scores."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from proteinx_pipelines.stages.train.prior import Prior
from proteinx_pipelines.stages.train.prior_learning import Assay, learn


def assert_scores_of_a_group_are_unseen(prior: Prior, assays: Sequence[Assay], network: str) -> None:
    """Neither as rows to predict nor through the effects by which rows of other proteins are described.

    Args:
        prior: learned from the assays.
        assays: one of them is `p10`, whose group is put to the test.
        network: name of an array of the prior.
    """
    group = {each.name: each.group for each in prior.members}
    odd, random = group["p10"], np.random.default_rng(0)
    others = [
        replace(each, score=random.permutation(each.score)) if group[each.name] == odd else each
        for each in assays
    ]
    again = learn(others).prior
    assert {each.name: each.group for each in again.members} == group
    before, after = (getattr(each, network).astype(np.float64) for each in (prior, again))
    apart = np.abs(after - before).max(axis=1)
    assert apart[1 + odd] < 3e-3  # the effects are solved from sums of all less those of the group
    assert np.delete(apart, 1 + odd).min() > 1e-2  # the guard off: all others have seen them
