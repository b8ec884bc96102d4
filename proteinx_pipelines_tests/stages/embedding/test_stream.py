"""The stream between sequences and a model, with a store in between."""

import errno
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.execution.failure import failure_code
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding import stream
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.store import KEY_BYTES, sequence_keys
from proteinx_pipelines.stages.embedding.stream import Library, _duration, embed_library


class Composition:
    """An embedder whose right answer is easy to know: how often each amino acid occurs, in all or in part."""

    width = 20

    def __init__(self):
        self.batches = []

    def embed(self, letters, positions=None):
        self.batches.append(letters.shape)
        counted = np.ones(letters.shape, dtype=bool) if positions is None else positions
        codes = np.frombuffer(AMINO_ACIDS.encode(), np.uint8)
        return ((letters[:, :, None] == codes) & counted[:, :, None]).sum(axis=1).astype(np.float32)


class MemoryStore:
    """The whole protocol in a dictionary."""

    def __init__(self):
        self.known = {}

    def get_many(self, policy, keys, out):
        found = np.zeros(len(keys), dtype=bool)
        for row, key in enumerate(keys):
            vector = self.known.get((str(policy), key.tobytes()))
            if vector is not None:
                out[row], found[row] = vector, True
        return found

    def put_many(self, policy, keys, vectors):
        for key, vector in zip(keys, vectors, strict=True):
            assert key.shape == (KEY_BYTES,)
            self.known[str(policy), key.tobytes()] = vector.copy()


def composition(sequences):
    return np.array([[s.count(a) for a in AMINO_ACIDS] for s in sequences], dtype=np.float32)


def run(sequences, embedder=None, **options):
    library = Library(pa.array(sequences).cast(pa.large_string()), **options.pop("library", {}))
    options = {"tokens_per_batch": 12, "policy": {"name": "x"}, "monitor": StageMonitor()} | options
    return embed_library(library, embedder or Composition(), **options)


SEQUENCES = st.lists(st.text("ACD", min_size=1, max_size=5), min_size=1, max_size=30)


@settings(max_examples=60)
@given(sequences=SEQUENCES, tokens=st.integers(1, 40), seen=SEQUENCES)
def test_every_row_gets_the_vector_of_its_sequence(sequences, tokens, seen):
    """Whatever repeats, whatever the batches, and whatever a store has seen before."""
    store, embedder = MemoryStore(), Composition()
    run(seen, store=store)
    found = run(sequences, embedder, tokens_per_batch=tokens, store=store)
    np.testing.assert_array_equal(found, composition(sequences))
    assert sum(n for n, _ in embedder.batches) == len(set(sequences) - set(seen))
    assert all(n == 1 or n * (length + 2) <= tokens for n, length in embedder.batches)


def test_longest_sequences_come_first():
    embedder = Composition()
    run(["A", "ACDEF", "ACD"], embedder)
    assert [length for _, length in embedder.batches] == [5, 3, 1]


def test_another_policy_does_not_find_the_vectors():
    store, embedder = MemoryStore(), Composition()
    run(["AC"], store=store, policy={"layer": 1})
    run(["AC"], embedder, store=store, policy={"layer": 2})
    assert embedder.batches == [(1, 2)]


def test_one_sequence_under_two_templates_has_two_vectors():
    sources = np.array(["s", "t", "s"], dtype=object)
    library = {"sources": sources, "templates": {"s": "AC", "t": "CA"}}
    store, embedder = MemoryStore(), Composition()
    found = run(["AD", "AD", "AD"], embedder, library=library, store=store)
    np.testing.assert_array_equal(found, composition(["D", "AD", "D"]))
    assert sum(n for n, _ in embedder.batches) == 2
    assert len(store.known) == 2


def test_keys_tell_sequences_and_positions_apart_and_nothing_else():
    letters = np.frombuffer(b"ACACAD", np.uint8).reshape(3, 2)
    keys = sequence_keys(letters, None)
    assert keys.shape == (3, KEY_BYTES)
    assert (keys[0] == keys[1]).all()
    assert (keys[0] != keys[2]).any()
    positions = np.array([[True, False], [False, True], [True, False]])
    by_position = sequence_keys(letters, positions)
    assert (by_position[0] != by_position[1]).any()
    np.testing.assert_array_equal(sequence_keys(letters[:1], positions[:1])[0], by_position[0])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (3661, "1 h 01 min")]
)
def test_time_left_reads_as_people_say_it(seconds, text):
    assert _duration(seconds) == text


def test_only_new_variants_go_through_the_model(checkpoint, variants, variant_table, listener):
    flags, store = EmbeddingFlags(name="esm2_t6_8M_UR50D"), MemoryStore()
    first = embed_variants(variants, flags, StageMonitor(), weights=checkpoint, store=store)
    rows = variants.rows.select(["source", "mutant", "sequence"]).to_pylist()
    grown = [tuple(row.values()) for row in rows] + [("short", "A1C", "CCDEFGHIKLMNPQRSY")]
    second = embed_variants(variant_table(grown), flags, listener, weights=checkpoint, store=store)
    assert listener.events["embedding_finished"]["sequences"] == 1
    assert listener.events["embedding_finished"]["forward_passes"] == 1
    np.testing.assert_array_equal(second.vectors[:8], first.vectors)
    assert "known already" in listener.steps[0][2]
    assert second.info == first.info


def test_a_mapped_matrix_has_its_room_on_the_disk_from_the_start(monkeypatch):
    """It was a file of holes: a disk that filled up later ended the process without a word (SIGBUS)."""
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("this system reserves nothing")
    blocks = []

    def watched(descriptor, offset, n_bytes):
        posix_fallocate(descriptor, offset, n_bytes)
        blocks.append(os.fstat(descriptor).st_blocks)

    posix_fallocate = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", watched)
    monkeypatch.setattr(stream, "MAX_BYTES_IN_MEMORY", 0)
    matrix = stream.allocate(1000, 256)
    assert isinstance(matrix, np.memmap)
    assert blocks[0] * 512 >= matrix.nbytes == 1_024_000


@pytest.mark.parametrize("when", ["it is seen to be full", "it fills up meanwhile"])
def test_a_full_disk_is_an_error_that_says_so(monkeypatch, when):
    def full(descriptor, offset, n_bytes):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(stream, "MAX_BYTES_IN_MEMORY", 0)
    size = 1 << 40 if when == "it is seen to be full" else 1000
    with pytest.raises(
        BadVariants, match=r"vectors of 1,000 numbers are .* GB free \(No space left"
    ) as caught:
        stream.allocate(size, 1000)
    assert failure_code(caught.value) == "disk_full"


def test_a_file_system_that_promises_no_room_is_used_all_the_same(monkeypatch):
    def unknown(descriptor, offset, n_bytes):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)
    monkeypatch.setattr(stream, "MAX_BYTES_IN_MEMORY", 0)
    assert stream.allocate(3, 4).shape == (3, 4)
