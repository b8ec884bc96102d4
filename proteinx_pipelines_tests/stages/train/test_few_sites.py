"""Means at a few sites by the grid of all combinations: equal to the plain sum over training rows."""

from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.campaign.landscape import OWN
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.design.final_model import fit_final
from proteinx_pipelines.stages.train import gp_structure
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor
from proteinx_pipelines_tests.campaign import conftest as campaigns
from proteinx_pipelines_tests.campaign.conftest import toy  # noqa: F401  # a fixture


@pytest.fixture(scope="module", params=["rbf", "sites"])
def fitted(toy, tmp_path_factory, request):  # noqa: F811
    """A process trained on a third of the toy landscape."""
    from proteinx_pipelines.campaign.engine import _hidden

    folder: Path = tmp_path_factory.mktemp("fit")
    hidden = _hidden(toy, np.arange(toy.n) % 3 == 0)
    flags = campaigns.flags_of(model__kernel=request.param)
    return fit_final(
        hidden, toy.embeddings[OWN], flags, directory=ExperimentDir(folder, "x"), monitor=StageMonitor()
    )


def process_of(fitted) -> GpPredictor:
    """The Gaussian process itself, which may predict roots."""
    return getattr(fitted.predictor, "process", fitted.predictor)


def test_the_grid_gives_what_the_sum_over_rows_gives(toy, fitted, monkeypatch):  # noqa: F811
    rows, embedding = np.arange(toy.n), toy.embeddings[OWN]
    assert gp_structure.at_few_sites(process_of(fitted).rows) is not None
    by_grid, deviation = fitted.predict_both(embedding, rows)
    one_by_one = np.array([fitted.predict(embedding, rows[k : k + 1])[0] for k in range(20)])
    assert by_grid[:20].tolist() == one_by_one.tolist()  # however many are asked for at once
    monkeypatch.setattr(gp_structure, "FEW_SITES", 0)
    assert gp_structure.at_few_sites(process_of(fitted).rows) is None
    by_sum, same = fitted.predict_both(embedding, rows)
    assert by_grid == pytest.approx(by_sum, rel=1e-9)
    assert deviation == pytest.approx(same, rel=1e-12)


def test_mean_and_deviation_together_are_those_of_each(toy, fitted, monkeypatch):  # noqa: F811
    rows, embedding = np.arange(toy.n), toy.embeddings[OWN]
    monkeypatch.setattr(gp_structure, "FEW_SITES", 0)
    mean, deviation = fitted.predict_both(embedding, rows)
    assert mean.tolist() == fitted.predict(embedding, rows).tolist()
    assert deviation.tolist() == fitted.predict_deviation(embedding, rows).tolist()


@pytest.mark.parametrize("kernel", ["rbf", "sites", "mutation", "linear"])
def test_deviations_lie_within_their_bounds(toy, tmp_path, kernel):  # noqa: F811
    from proteinx_pipelines.campaign.engine import _hidden

    rows, embedding = np.arange(toy.n), toy.embeddings[OWN]
    made = fit_final(
        _hidden(toy, np.arange(toy.n) % 4 == 0), embedding, campaigns.flags_of(model__kernel=kernel),
        directory=ExperimentDir(tmp_path, "x"), monitor=StageMonitor(),
    )  # fmt: skip
    low, high = made.deviation_bounds(embedding, rows)
    deviation = made.predict_deviation(embedding, rows)
    assert (deviation >= low * (1 - 1e-9)).all()
    assert (deviation <= high * (1 + 1e-9)).all()
