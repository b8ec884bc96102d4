import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.preprocessing import StandardScaler

from proteinx_pipelines.stages.train.targets import fit_scaling, read_scaling

TRAIN = np.array([3.0, -1.0, 10.0, 3.0, 0.5])


def test_standardize_is_scikit_learns():
    scaling = fit_scaling("standardize", TRAIN)
    expected = StandardScaler().fit_transform(TRAIN[:, None])[:, 0]
    np.testing.assert_allclose(scaling.scale(TRAIN), expected, atol=1e-12)
    np.testing.assert_allclose(scaling.unscale(scaling.scale(TRAIN)), TRAIN, atol=1e-12)


def test_standardize_only_centres_constant_targets():
    scaling = fit_scaling("standardize", np.full(3, 4.0))
    assert scaling.scale(np.array([4.0, 5.0])).tolist() == [0.0, 1.0]


def test_equal_targets_whose_mean_is_rounded_are_constant():
    """The deviation of three times 0.1 is 1.4e-17, and 0.5 was scaled to 3e16."""
    assert np.std(np.full(3, 0.1)) > 0
    scaling = fit_scaling("standardize", np.full(3, 0.1))
    np.testing.assert_allclose(scaling.scale(np.array([0.1, 0.5])), [0.0, 0.4], atol=1e-15)


def test_rank_gives_normal_scores_and_ties_share_one():
    expected = norm.ppf((rankdata(TRAIN) - 3 / 8) / (len(TRAIN) + 1 / 4))
    np.testing.assert_allclose(fit_scaling("rank", TRAIN).scale(TRAIN), expected, atol=1e-12)


def test_rank_places_unseen_targets_between_training_targets():
    scaling = fit_scaling("rank", TRAIN)
    low, high = scaling.scale(np.array([3.0, 10.0]))
    assert low < scaling.scale(np.array([5.0]))[0] < high
    assert scaling.scale(np.array([99.0]))[0] == high
    assert scaling.unscale(np.array([low])).tolist() == [low]


@pytest.mark.parametrize("method", ["none", "standardize", "rank"])
def test_a_scaling_read_back_unscales_alike(method):
    scaling = fit_scaling(method, TRAIN)
    again = read_scaling(scaling.document())
    assert again.unscale(TRAIN).tolist() == scaling.unscale(TRAIN).tolist()
    assert ("not in the unit" in scaling.document()["note"]) == (method == "rank")
