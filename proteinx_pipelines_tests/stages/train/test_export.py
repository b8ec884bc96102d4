import json

import building
import numpy as np
import pytest

from proteinx_pipelines.errors import CorruptArtifact, InputError, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs import train as codec
from proteinx_pipelines.stages.train.export import SETTINGS_FILE, TENSORS_FILE, load_model


@pytest.fixture
def toy(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    codec.save(toy.train(train={"target": "rank"}), toy.directory)
    return toy


@pytest.fixture
def folder(toy):
    return toy.directory.model_dir / "fold_0"


def test_the_document_says_what_the_model_is_and_predicts(folder):
    document = json.loads((folder / SETTINGS_FILE).read_text())
    assert document["model"] == "ridge"
    assert document["embedding"] == {"name": "onehot", "width": 240, "alphabet": "ACDEFGHIKLMNPQRSTVWY"}
    assert "not in the unit of `target`" in document["target"]["note"]


def test_a_ridge_has_no_uncertainty(folder, toy):
    assert load_model(folder).predict_deviation(toy.embedding, np.arange(3)) is None


def test_another_kind_of_embedding_is_refused(folder, toy):
    other = building.dense(toy.variants, np.ones((60, 240)))
    with pytest.raises(
        InputError, match=r"expects an embedding with name 'onehot', alphabet 'ACD.*got name 'esm2"
    ):
        load_model(folder).predict(other, np.arange(3))


@pytest.mark.parametrize("name", [SETTINGS_FILE, TENSORS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(MissingArtifact, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", [SETTINGS_FILE, TENSORS_FILE])
def test_a_damaged_file_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptArtifact):
        load_model(folder)


def test_a_model_of_a_newer_format_is_refused(folder):
    document = json.loads((folder / SETTINGS_FILE).read_text())
    (folder / SETTINGS_FILE).write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(CorruptArtifact, match=r"format 99.*format 1"):
        load_model(folder)


def test_a_training_whose_model_is_gone_is_not_read(toy, folder):
    (folder / TENSORS_FILE).unlink()
    with pytest.raises(MissingArtifact, match=r"fold_0/model\.safetensors.*Run the train stage again"):
        codec.load(toy.directory)


@pytest.mark.parametrize("content", ["", "[]", '{"model": "ridge"}'])
def test_a_damaged_training_document_is_noticed(toy, content):
    toy.directory.path(codec.TRAINING_FILE).write_text(content)
    with pytest.raises(CorruptArtifact, match=r"training\.json cannot be read"):
        codec.load(toy.directory)
