import csv
import gzip
from importlib.resources import files

import building
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from proteinx_pipelines.errors import Cancelled, FlagError
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.light_attention import LightAttention

NET = {"name": "light_attention", "channels": 16, "dropout": 0.2}
FIT = {"max_epochs": 4, "lr": 0.01, "batch_size": 16, "target": "standardize", "logger": []}
CPU = {"accelerator": "cpu"}


def exported(toy):
    return (toy.directory.model_dir / "fold_0" / "model.safetensors").read_bytes()


def demo_gb1():
    """813 mutants of protein G (Nisthal et al. 2019), which come with the package."""
    packed = files("proteinx_pipelines.demo") / "data" / "GB1_Nisthal_2019.csv.gz"
    rows = list(csv.DictReader(gzip.decompress(packed.read_bytes()).decode().splitlines()))
    return building.variant_table(
        [row["mutated_sequence"] for row in rows], np.array([float(row["DMS_score"]) for row in rows])
    )


def test_padding_changes_nothing():
    torch.manual_seed(0)
    network = LightAttention(20, 8, 9, 0.0).eval()
    sequence = torch.eye(20)[torch.randint(0, 20, (1, 12))]
    padded = torch.cat([sequence, torch.zeros(1, 7, 20)], dim=1)
    with torch.inference_mode():
        assert network(padded.reshape(1, -1)).item() == pytest.approx(
            network(sequence.reshape(1, -1)).item(), abs=1e-6
        )


def test_it_weighs_positions_by_a_softmax_over_the_residues_alone():
    torch.manual_seed(0)
    network = LightAttention(4, 3, 1, 0.0).eval()
    residues = torch.rand(2, 5, 4) + 0.1
    residues[1, 3:] = 0
    seen = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network(residues.reshape(2, -1))
    for row, length in ((0, 5), (1, 3)):
        own = residues[row, :length].T
        with torch.inference_mode():
            values, scores = network.values(own), network.attention(own)
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        expected = torch.cat([(values * weights).sum(dim=1), values.max(dim=1).values])
        assert torch.allclose(seen[0][row], expected, atol=1e-6)


@pytest.mark.slow
def test_it_predicts_unseen_mutants_of_gb1_better_than_their_mean(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.variants = demo_gb1()
    toy.embedding = building.one_hot(toy.variants)
    n = toy.variants.n_variants
    parts = np.split(np.random.default_rng(0).permutation(n), (n * 7 // 10, n * 8 // 10))
    toy.split = building.split_of(toy.variants, tuple(np.sort(part) for part in parts))
    toy.train(
        model={"name": "light_attention", "channels": 128},
        train={**FIT, "max_epochs": 40, "lr": 1e-3, "batch_size": 64}, trainer=CPU,
    )  # fmt: skip
    test = toy.split.folds[0].test
    predicted = load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, test)
    measured = toy.variants.column("target")[test]
    assert spearmanr(predicted, measured).statistic > 0.45
    assert np.mean((predicted - measured) ** 2) < 0.8 * np.var(measured)


def test_the_same_flags_and_seed_give_the_same_weights_bit_for_bit(tmp_path):
    found = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        toy = building.ToyExperiment(tmp_path / name)
        torch.rand(3)  # the state of the process must not matter
        toy.train(model=NET, train={**FIT, "max_epochs": 2, "seed": seed}, trainer=CPU)
        found.append(exported(toy))
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_a_continued_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    whole = building.ToyExperiment(tmp_path / "whole")
    expected = whole.train(model=NET, train=FIT, trainer=CPU)
    toy = building.ToyExperiment(tmp_path / "broken")
    with pytest.raises(Cancelled):
        toy.train(building.Notebook(9, Cancelled("")), model=NET, train=FIT, trainer=CPU)
    found = toy.train(model=NET, train=FIT, trainer=CPU, checkpoint=toy.directory.checkpoints_dir)
    assert exported(toy) == exported(whole)
    assert found.info == expected.info


def test_it_reads_the_states_of_every_residue_and_the_file_read_back_predicts_the_same(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    states = np.random.default_rng(1).normal(size=(toy.variants.n_variants, 12 * 6)).astype(np.float32)
    info = {"name": "esm2_t6_8M_UR50D", "pooling": "per_residue", "residue_width": 6}
    toy.embedding = Embedding(toy.embedding.ids, info, vectors=states)
    training = toy.train(model=NET, train={**FIT, "max_epochs": 1}, trainer=CPU)
    model = load_model(training.model_dirs[0])
    rows = np.arange(toy.variants.n_variants)
    assert np.std(model.predict(toy.embedding, rows)) > 0
    assert toy.embedding.residue_width == 6


def test_one_vector_for_a_variant_has_no_residues_to_weigh(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    toy.embedding = building.dense(toy.variants, np.ones((toy.variants.n_variants, 4)))
    with pytest.raises(FlagError, match=r"reads residues, found one vector .*'esm2_t6_8M_UR50D'"):
        toy.train(model=NET, train=FIT, trainer=CPU)
