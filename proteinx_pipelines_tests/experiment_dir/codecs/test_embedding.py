import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.embedding import IDS_FILE, VECTORS_FILE, load, save
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Embedding


@pytest.fixture
def directory(tmp_path):
    return ExperimentDir(tmp_path / "experiments", "exp-1")


def vectors(n=5, width=7, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    ids = pa.array([f"gb1/A{i + 1}C" for i in range(n)])
    return Embedding(ids=ids, info={"name": "esm2", "layer": 6, "umlaut": "ä"}, vectors=matrix)


def tokens():
    matrix = np.array([[0, 19, 3], [1, 20, 20]], dtype=np.uint8)
    return Embedding(ids=pa.array(["s/WT", "s/A1C"]), info={"name": "onehot"}, tokens=matrix)


@pytest.mark.parametrize("record", [vectors(), tokens(), vectors(n=0)], ids=["vectors", "tokens", "no rows"])
def test_what_was_saved_is_loaded(directory, record):
    assert save(record, directory) == [VECTORS_FILE, IDS_FILE]
    found = load(directory)
    assert found.ids.to_pylist() == record.ids.to_pylist()
    assert found.info == record.info
    assert found.alphabet == record.alphabet
    for name in ("vectors", "tokens"):
        wanted, got = getattr(record, name), getattr(found, name)
        assert (wanted is None) == (got is None)
        if wanted is not None:
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def test_another_safetensors_reader_reads_the_same_matrix(directory):
    record = vectors()
    save(record, directory)
    np.testing.assert_array_equal(load_file(directory.path(VECTORS_FILE))["vectors"], record.vectors)


def test_the_same_record_gives_the_same_bytes(directory, tmp_path):
    other = ExperimentDir(tmp_path / "elsewhere", "exp-2")
    record = vectors()
    shuffled_info = dict(reversed(list(record.info.items())))
    sliced_ids = pa.concat_arrays([pa.array(["x"]), record.ids])[1:]
    save(record, directory)
    save(replace(record, info=shuffled_info, ids=sliced_ids), other)
    for name in (VECTORS_FILE, IDS_FILE):
        assert directory.path(name).read_bytes() == other.path(name).read_bytes()


def test_the_matrix_is_mapped_and_cannot_be_written_to(directory):
    save(vectors(), directory)
    found = load(directory).vectors
    assert isinstance(found, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1.0


def test_opening_reads_the_header_and_not_the_matrix(directory):
    """The rows are grown to 8 GB of holes afterwards: reading them would take seconds and the memory."""
    n, width = 2_000_000, 1000
    ids = pa.array(["x"]).take(pa.array(np.zeros(n, dtype=np.int64)))
    holes = np.broadcast_to(np.float32(0), (n, 0))
    save(Embedding(ids=ids, info={}, vectors=holes), directory)
    path = directory.path(VECTORS_FILE)
    raw = path.read_bytes()
    header = raw[8:].replace(b"[2000000,0]", b"[2000000,%d]" % width)
    header = header.replace(b'"data_offsets":[0,0]', b'"data_offsets":[0,%d]' % (n * width * 4)).rstrip()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + n * width * 4)
    found = load(directory)
    assert found.vectors.shape == (n, width)
    assert found.dense(np.array([1_999_999])).sum() == 0.0


@pytest.mark.parametrize("name", [VECTORS_FILE, IDS_FILE])
def test_a_missing_file_is_named(directory, name):
    save(vectors(), directory)
    directory.path(name).unlink()
    with pytest.raises(
        MissingArtifact, match=rf"{name}.* is not there\. Run the embedding stage of exp-1 again"
    ):
        load(directory)


def test_ids_of_another_embedding_are_noticed(directory):
    """Same number of rows, other order: only the digest of the ids can tell."""
    record = vectors()
    save(record, directory)
    pq.write_table(pa.table({"id": record.ids[::-1]}), directory.path(IDS_FILE))
    with pytest.raises(CorruptArtifact, match=r"does not belong to embeddings/ids\.parquet"):
        load(directory)


def test_too_few_ids_are_noticed(directory):
    record = vectors()
    save(record, directory)
    pq.write_table(pa.table({"id": record.ids[:3]}), directory.path(IDS_FILE))
    with pytest.raises(CorruptArtifact, match=r"5 rows are of other ids than those 3"):
        load(directory)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-4],
        lambda raw: raw + b"0000",
        lambda raw: raw[:4],
        lambda raw: b"",
        lambda raw: b"\xff" * 8 + raw[8:],
        lambda raw: raw[:9] + b"\xff" + raw[10:],
        lambda raw: raw.replace(b'"F32"', b'"F16"'),
        lambda raw: raw.replace(b'"vectors"', b'"wectors"'),
        lambda raw: raw.replace(b"__metadata__", b"__netadata__"),
        lambda raw: raw.replace(b"alphabet", b"alfabets"),
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do(directory, damage):
    save(vectors(), directory)
    path = directory.path(VECTORS_FILE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptArtifact, match=r"cannot be read .* Run the embedding stage of exp-1 again"):
        load(directory)


def test_an_ids_file_that_is_not_parquet_is_refused(directory):
    save(vectors(), directory)
    directory.path(IDS_FILE).write_bytes(b"not parquet")
    with pytest.raises(CorruptArtifact, match=r"ids\.parquet cannot be read"):
        load(directory)


def test_a_matrix_that_does_not_fit_its_ids_is_not_written(directory):
    with pytest.raises(ValueError, match="3 ids has a matrix of shape"):
        save(replace(vectors(), ids=pa.array(["a", "b", "c"])), directory)
    assert not directory.path(VECTORS_FILE).exists()
