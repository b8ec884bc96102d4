import building
import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import spearmanr
from test_gp import singles, trained

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train import network_predictor
from proteinx_pipelines.stages.train.cnn import Convolution
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor, rows_at_once


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


def test_long_sequences_are_predicted_in_smaller_batches_with_the_same_numbers(monkeypatch):
    """1,024 variants of 448 residues held 8 GB in the wide layer."""
    long = Embedding(pa.nulls(9, pa.string()), {}, tokens=np.zeros((9, 448), np.uint8))
    assert rows_at_once(long) == 234
    assert rows_at_once(Embedding(pa.nulls(9, pa.string()), {}, vectors=np.zeros((9, 1280)))) == 1024
    torch.manual_seed(0)
    network = Convolution(20, 8, 5, 0.0)
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    tokens = np.random.default_rng(0).integers(0, 20, (9, 12), np.uint8)
    of = Embedding(pa.nulls(9, pa.string()), {}, tokens=tokens)
    predictor = NetworkPredictor(network, {}, tensors)
    whole = predictor.mean(of, np.arange(9))
    monkeypatch.setattr(network_predictor, "_BATCH_NUMBERS", 4 * of.width)
    assert predictor.mean(of, np.arange(9)) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(
    "kind", ["equal", "one site", "singles", "ends", "everything", "states", "one variant"]
)
def test_looking_once_at_what_variants_share_changes_nothing(kind):
    torch.manual_seed(1)
    network, n = Convolution(20, 8, 5, 0.0), 1 if kind == "one variant" else 6
    tokens = torch.randint(0, 20, (1, 12)).repeat(n, 1)
    sites = {"one site": [3], "ends": [0, 11], "everything": range(12)}
    for site in sites.get(kind, ()):
        tokens[:, site] = torch.randint(0, 20, (n,))
    if kind == "singles":
        tokens[torch.arange(n), torch.arange(n) * 2] = torch.randint(0, 20, (n,))
    residues = torch.randn(n, 12, 20) if kind == "states" else torch.eye(20)[tokens]
    if n > 1:
        residues[2, 10:] = 0
    found = network(residues.reshape(n, -1))
    seen = torch.relu(network.convolution(residues.transpose(1, 2)).transpose(1, 2))
    wide = torch.relu(network.positionwise(seen)) * residues.any(dim=2, keepdim=True)
    expected = network.output(wide.amax(dim=1)).squeeze(-1)
    assert torch.allclose(found, expected, atol=1e-6)
    ours, plain = (
        torch.autograd.grad(value.pow(2).sum(), list(network.parameters())) for value in (found, expected)
    )
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(ours, plain, strict=True))
