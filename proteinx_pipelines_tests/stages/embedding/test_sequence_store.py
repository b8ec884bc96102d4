"""The sequence store on disk: nothing is lost, nothing damaged is used, two writers do not disturb each other."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.stages.embedding import sequence_store
from proteinx_pipelines.stages.embedding.sequence_store import POLICY_FILE, SequenceStore
from proteinx_pipelines.stages.embedding.shards import Shard, open_shard, write_shard
from proteinx_pipelines.stages.embedding.store import KEY_BYTES
from proteinx_pipelines_tests.racing import race

WIDTH = 3
POLICY = {"name": "x", "layer": 1, "width": WIDTH}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store" / "sequences"


def keys_of(numbers):
    """Keys that numbers choose; the same number is the same key."""
    rows = [np.random.default_rng(number).integers(0, 256, KEY_BYTES, dtype=np.uint8) for number in numbers]
    return np.array(rows, dtype=np.uint8).reshape(len(rows), KEY_BYTES)


def vectors_of(numbers):
    return np.repeat(np.array(numbers, dtype=np.float32)[:, None], WIDTH, axis=1)


def put(root, numbers, policy=POLICY):
    with SequenceStore(root) as store:
        store.put_many(policy, keys_of(numbers), vectors_of(numbers))


def get(root, numbers, policy=POLICY):
    """Which numbers are known; asserts that what is known is right and the rest is left alone."""
    out = np.full((len(numbers), WIDTH), -1, dtype=np.float32)
    with SequenceStore(root) as store:
        known = store.get_many(policy, keys_of(numbers), out)
    expected = np.where(known[:, None], vectors_of(numbers), -1)
    np.testing.assert_array_equal(out, expected)
    return known.tolist()


def shards(root):
    return sorted(root.glob("*/*.safetensors"))


NUMBERS = st.lists(st.integers(0, 40), max_size=12)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(NUMBERS, max_size=25), asked=NUMBERS)
def test_what_was_put_is_found_and_nothing_else(tmp_path_factory, writes, asked):
    """Whatever is written twice, and more often than shards may be many."""
    root = tmp_path_factory.mktemp("w") / "store" / "sequences"
    for numbers in writes:
        put(root, numbers)
    written = {number for numbers in writes for number in numbers}
    assert get(root, asked) == [number in written for number in asked]


def test_another_policy_knows_nothing(root):
    put(root, [1])
    assert get(root, [1], {**POLICY, "layer": 2}) == [False]


def test_a_policy_that_is_spelled_otherwise_is_the_same(root):
    put(root, [1])
    assert get(root, [1], {"width": float(WIDTH), "layer": 1, "name": "x"}) == [True]


def test_rows_are_counted_for_the_person_who_asks(root):
    put(root, [1, 2])
    with SequenceStore(root) as store:
        store.get_many(POLICY, keys_of([1, 2, 3]), np.empty((3, WIDTH), np.float32))
        store.put_many(POLICY, keys_of([3]), vectors_of([3]))
    assert (store.n_found, store.n_added) == (2, 1)


@pytest.mark.parametrize("place", ["vectors", "keys", "header"])
def test_a_flipped_byte_is_noticed_and_its_shard_put_aside(root, place):
    put(root, [1, 2])
    (path,) = shards(root)
    content = bytearray(path.read_bytes())
    offset = {"vectors": len(content) - 2 * KEY_BYTES - 5, "keys": len(content) - 1, "header": 9}[place]
    content[offset] ^= 0x10
    path.write_bytes(bytes(content))
    known = get(root, [1, 2])
    assert not all(known)
    assert not path.exists()
    assert len(list((root.parent / "quarantine").iterdir())) == 1
    put(root, [1, 2])
    assert get(root, [1, 2]) == [True, True]


def test_a_shard_cut_short_is_refused(root):
    put(root, [1, 2])
    (path,) = shards(root)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArtifact, match="do not hold 2 rows"):
        open_shard(path)
    assert get(root, [1, 2]) == [False, False]


def test_without_the_digest_the_damage_would_have_been_used(root, monkeypatch):
    """Guard off: the same flipped byte, believed."""
    put(root, [1])
    (path,) = shards(root)
    content = bytearray(path.read_bytes())
    content[-KEY_BYTES - 2] ^= 0x10
    path.write_bytes(bytes(content))
    monkeypatch.setattr(Shard, "is_intact", property(lambda self: True))
    with pytest.raises(AssertionError):
        get(root, [1])


def test_many_small_shards_become_one(root, monkeypatch):
    monkeypatch.setattr(sequence_store, "MANY_SHARDS", 4)
    for number in range(5):
        put(root, [number, 100])
    assert get(root, [0, 1, 2, 3, 4, 100]) == [True] * 6
    (merged,) = shards(root)
    assert len(open_shard(merged).keys) == 6


def test_two_mergers_write_the_same_file(root):
    for number in range(4):
        put(root, [number])
    opened = [open_shard(path) for path in shards(root)]
    folder = shards(root)[0].parent
    assert write_shard(folder, opened) == write_shard(folder, opened[::-1])


def test_a_reader_that_has_opened_keeps_reading_while_another_merges(root, monkeypatch):
    for number in range(5):
        put(root, [number])
    reader = SequenceStore(root)
    out = np.zeros((5, WIDTH), np.float32)
    reader.get_many(POLICY, keys_of([0]), out[:1])
    monkeypatch.setattr(sequence_store, "MANY_SHARDS", 2)
    assert get(root, [0]) == [True]
    assert len(shards(root)) == 1
    assert reader.get_many(POLICY, keys_of([1, 2, 3, 4]), out[1:]).all()
    np.testing.assert_array_equal(out, vectors_of(range(5)))


def _write_numbers(root, first, start):
    for number in range(first, first + 10):
        start.wait(120)
        put(root, [number, 1000])


@pytest.mark.slow
def test_two_processes_write_at_once(root):
    race(_write_numbers, (root, 0), (root, 10))
    assert get(root, [*range(20), 1000]) == [True] * 21
    assert not list((root.parent).glob("quarantine/*"))


KILLED = """
import sys
from pathlib import Path
import numpy as np
from proteinx_pipelines.stages.embedding import sequence_store
from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore
sequence_store.WRITE_AFTER_S = sequence_store.WRITE_AFTER_FRACTION = 0.0  # a busy machine may stop for seconds
rows, number = np.random.default_rng(0), 0
with SequenceStore(Path(sys.argv[1])) as store:
    while True:
        keys = rows.integers(0, 256, (50, 32), dtype=np.uint8)
        vectors = np.repeat(keys[:, :1].astype(np.float32), 3, axis=1)
        store.put_many({"name": "x", "layer": 1, "width": 3}, keys, vectors)
        number += 1
        print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_the_last_rows_and_damages_none(root):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 30:
            pass
        time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
    rows = np.random.default_rng(0)
    keys = np.concatenate([rows.integers(0, 256, (50, KEY_BYTES), dtype=np.uint8) for _ in range(25)])
    out = np.empty((len(keys), WIDTH), np.float32)
    with SequenceStore(root) as store:
        assert store.get_many(POLICY, keys, out).all()
    np.testing.assert_array_equal(out[:, 0], keys[:, 0])
    assert not (root.parent / "quarantine").exists()


def test_rows_wait_until_they_are_worth_a_file(root):
    with SequenceStore(root) as store:
        for number in range(50):
            store.put_many(POLICY, keys_of([number]), vectors_of([number]))
        assert shards(root) == []
    assert len(shards(root)) == 1
    assert (shards(root)[0].parent / POLICY_FILE).is_file()


def test_a_cancelled_embedding_keeps_what_it_had(root):
    def cancelled():
        with SequenceStore(root) as store:
            store.put_many(POLICY, keys_of([1]), vectors_of([1]))
            raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        cancelled()
    assert get(root, [1]) == [True]


def test_any_safetensors_reader_reads_a_shard(root):
    from safetensors.numpy import load_file

    put(root, [5, 3])
    (path,) = shards(root)
    found = load_file(path)
    assert found["keys"].shape == (2, KEY_BYTES)
    assert sorted(found["vectors"][:, 0]) == [3.0, 5.0]


def test_a_library_of_a_hundred_thousand_is_looked_up_in_a_moment(root: Path):
    random = np.random.default_rng(1)
    keys = random.integers(0, 256, (100_000, KEY_BYTES), dtype=np.uint8)
    with SequenceStore(root) as store:
        store.put_many({"width": 64}, keys, random.normal(size=(100_000, 64)).astype(np.float32))
    out = np.empty((100_000, 64), np.float32)
    started = time.process_time()
    with SequenceStore(root) as store:
        assert store.get_many({"width": 64}, keys, out).all()
    assert time.process_time() - started < 2.0  # 0.1 s alone; a loop over rows would take longer
