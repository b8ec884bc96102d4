"""Vectors of single sequences in the shared store: no sequence is embedded on two machines."""

from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.files.shared.outgoing import SHARD
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.sequence_store import MANY_SHARDS, SequenceStore
from proteinx_pipelines.stages.embedding.shards import SUFFIX
from proteinx_pipelines.stages.embedding.shared_vectors import KEYS, SharedVectors
from proteinx_pipelines.stages.embedding.store import sequence_keys
from proteinx_pipelines_tests.machines import Machine

POLICY = {"name": "made up", "layer": 6}
LETTERS = np.frombuffer(b"MKVAMKVCMKVD", dtype=np.uint8).reshape(3, 4)
OTHER = LETTERS + 1
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "here", store_url)


@pytest.fixture
def there(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "there", store_url)


def vectors_of(machine: Machine) -> SequenceStore:
    shared = SharedVectors(machine.shared, machine.outgoing, StageMonitor())
    return SequenceStore(machine.store.sequences_dir, shared)


def put(machine: Machine, letters: np.ndarray, vectors: np.ndarray = VECTORS) -> None:
    with vectors_of(machine) as store:
        store.put_many(POLICY, sequence_keys(letters, None), vectors)


def known_to(machine: Machine, *letters: np.ndarray) -> tuple[list[bool], np.ndarray]:
    keys = sequence_keys(np.vstack(letters), None)
    out = np.zeros((len(keys), 4), dtype=np.float32)
    with vectors_of(machine) as store:
        return store.get_many(POLICY, keys, out).tolist(), out


def names(machine: Machine, ending: str) -> list[str]:
    return [name for name in machine.blobs.names("sequences") if name.endswith(ending)]


def test_vectors_of_one_machine_are_known_to_another(here: Machine, there: Machine) -> None:
    put(here, LETTERS)
    assert known_to(there, LETTERS)[0] == [False] * 3
    here.send()
    known, out = known_to(there, LETTERS, OTHER)
    assert known == [True] * 3 + [False] * 3
    assert np.array_equal(out[:3], VECTORS)
    for name in names(here, ""):
        here.blobs.remove(name)
    assert known_to(there, LETTERS)[0] == [True] * 3  # from its own folder now


def test_only_shards_with_wanted_rows_are_fetched(here: Machine, there: Machine) -> None:
    put(here, LETTERS)
    here.send()
    put(here, OTHER)
    here.send()
    assert len(names(here, SUFFIX)) == 2
    assert known_to(there, LETTERS)[0] == [True] * 3
    assert len(list(there.store.sequences_dir.rglob(f"*{SUFFIX}"))) == 1


def test_small_shards_that_wait_are_sent_as_one(here: Machine, there: Machine) -> None:
    for row in range(3):
        put(here, LETTERS[row : row + 1], VECTORS[row : row + 1])
    assert here.outgoing.counts()["shards"] == 3
    here.send()
    assert (here.outgoing.counts()["shards"], len(names(here, SUFFIX))) == (0, 1)
    known, out = known_to(there, LETTERS)
    assert known == [True] * 3
    assert np.array_equal(out, VECTORS)


def test_shards_that_are_merged_before_they_were_sent_are_sent_merged(here: Machine, there: Machine) -> None:
    letters = np.frombuffer(
        "".join(f"{number:04d}" for number in range(MANY_SHARDS + 2)).encode(), dtype=np.uint8
    ).reshape(-1, 4)
    vectors = np.random.default_rng(0).normal(size=(len(letters), 4)).astype(np.float32)
    for row in range(len(letters)):
        put(here, letters[row : row + 1], vectors[row : row + 1])
    here.send()
    known, out = known_to(there, letters)
    assert all(known)
    assert np.array_equal(out, vectors)
    assert here.outgoing.notes(SHARD) == []


def test_damaged_vectors_are_told_and_computed_again(
    here: Machine, there: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    put(here, LETTERS)
    here.send()
    (shard,) = names(here, SUFFIX)
    content = bytearray(here.blobs.read(shard))
    content[-1] ^= 1
    here.blobs.write(shard, bytes(content))
    assert known_to(there, LETTERS)[0] == [False] * 3
    assert "computed again" in caplog.text
    assert names(here, "") == []
    put(there, LETTERS)
    there.send()
    third = Machine.at(there.settings.workdir.parent / "third", there.settings.store)
    assert known_to(third, LETTERS)[0] == [True] * 3


@pytest.mark.parametrize("keys", [b"", b"123", b"\xff" * 800, None])
def test_wrong_keys_cost_the_saving_and_nothing_else(
    here: Machine, there: Machine, keys: bytes | None
) -> None:
    put(here, LETTERS)
    here.send()
    (name,) = names(here, KEYS)
    if keys is None:  # those of a shard that has gone
        here.blobs.remove(name.removesuffix(KEYS) + SUFFIX)
    else:
        here.blobs.write(name, keys)
    assert known_to(there, LETTERS)[0] == [False] * 3
