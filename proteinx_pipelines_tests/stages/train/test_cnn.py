import building
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from test_gp import singles, trained

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.train.cnn import Convolution


def test_padding_changes_nothing():
    torch.manual_seed(0)
    network = Convolution(20, 8, 5, 0.0).eval()
    sequence = torch.eye(20)[torch.randint(0, 20, (1, 12))]
    padded = torch.cat([sequence, torch.zeros(1, 7, 20)], dim=1)
    with torch.inference_mode():
        assert network(padded.reshape(1, -1)).item() == pytest.approx(
            network(sequence.reshape(1, -1)).item(), abs=1e-6
        )


@pytest.mark.slow
def test_the_network_read_back_predicts_unseen_mutants(tmp_path):
    variants, embedding = singles()
    model, fold = trained(
        tmp_path, variants, embedding, model={"name": "cnn", "channels": 32},
        train={"max_epochs": 60, "lr": 3e-3, "target": "standardize", "logger": []},
        trainer={"accelerator": "cpu"},
    )  # fmt: skip
    predicted = model.predict(embedding, fold.test)
    assert spearmanr(predicted, variants.column("target")[fold.test]).statistic > 0.4


def test_vectors_have_no_residues_to_read(tmp_path):
    variants, _ = singles()
    embedding = building.dense(variants, np.ones((variants.n_variants, 4)))
    with pytest.raises(FlagError, match="reads residues"):
        trained(tmp_path, variants, embedding, model={"name": "cnn"})
