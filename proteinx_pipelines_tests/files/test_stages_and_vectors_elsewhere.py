"""The stage store and the sequence store on every kind of place: what one machine has computed, another takes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.files.blobs.interface import BlobStore, LocalFiles, object_name
from proteinx_pipelines.files.blobs.objects import open_objects
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore
from proteinx_pipelines.stages.embedding.store import sequence_keys
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.execution.test_store import FILES, KEY, make_directory, take

POLICY = {"name": "made up", "layer": 6}
LETTERS = np.frombuffer(b"MKVAMKVCMKVD", dtype=np.uint8).reshape(3, 4)
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def here(tmp_path: Path, blobs: BlobStore) -> StageStore:
    return StageStore(tmp_path / "here" / "store", blobs)


@pytest.fixture
def there(tmp_path: Path, blobs: BlobStore) -> StageStore:
    """Another machine: it shares nothing but the place where entries are kept."""
    return StageStore(tmp_path / "there" / "store", blobs)


def contents(directory: ExperimentDir) -> dict[str, bytes]:
    return {name: directory.path(name).read_bytes() for name in FILES}


def test_what_one_machine_puts_another_takes_byte_for_byte(
    here: StageStore, there: StageStore, tmp_path: Path
) -> None:
    directory, entry = make_directory(tmp_path / "here", "a")
    here.put("split", entry, directory)
    taken = ExperimentDir(tmp_path / "there" / "experiments", "b")
    found = take(there, taken)
    assert found is not None
    assert (found.action, found.origin["experiment_id"]) == ("taken", "a")
    assert contents(taken) == FILES
    left = [path for path in there.root.rglob("*") if path.is_file()] if there.root.exists() else []
    assert left == []


def test_a_file_of_an_entry_can_be_read_by_itself(
    here: StageStore, there: StageStore, tmp_path: Path
) -> None:
    directory, entry = make_directory(tmp_path / "here", "a")
    here.put("split", entry, directory)
    for name, content in FILES.items():
        for _ in range(2):
            path = there.file("split", KEY, name)
            assert path is not None
            assert path.read_bytes() == content
    assert there.file("split", KEY, "nothing") is None
    assert there.file("split", "0" * 64, "nothing") is None


def stored_name(blobs: BlobStore, content: bytes) -> str:
    return next(name for name in blobs.names() if blobs.read(name) == content)


def test_damage_is_noticed_put_aside_and_mended_by_putting_it_again(
    here: StageStore, there: StageStore, blobs: BlobStore, tmp_path: Path
) -> None:
    directory, entry = make_directory(tmp_path / "here", "a")
    here.put("split", entry, directory)
    one, *_ = FILES.values()
    damaged = stored_name(blobs, one)
    if isinstance(blobs, LocalFiles):
        blobs.remove(damaged)  # not the linked file of the experiment
    blobs.write(damaged, bytes([one[0] ^ 1]) + one[1:])
    taken = ExperimentDir(tmp_path / "there" / "experiments", "b")
    assert take(there, taken) is None
    assert not any(taken.path(name).exists() for name in FILES)
    assert there.lookup("split", KEY) is None
    assert any(name.startswith("quarantine/split-") for name in blobs.names())
    here.put("split", entry, directory)
    assert take(there, taken) is not None
    assert contents(taken) == FILES


def test_a_file_that_is_gone_makes_the_entry_one_that_nobody_has(
    here: StageStore, there: StageStore, blobs: BlobStore, tmp_path: Path
) -> None:
    directory, entry = make_directory(tmp_path / "here", "a")
    here.put("split", entry, directory)
    blobs.remove(stored_name(blobs, next(iter(FILES.values()))))
    assert take(there, ExperimentDir(tmp_path / "there" / "experiments", "b")) is None


def test_a_put_that_was_broken_off_is_no_entry(tmp_path: Path) -> None:
    """The entry comes last: a machine that goes off while it sends leaves files that nobody takes for a stage."""
    pytest.importorskip("obstore")
    blobs = open_objects("memory://")
    here, there = (StageStore(tmp_path / name / "store", blobs) for name in ("here", "there"))
    directory, entry = make_directory(tmp_path / "here", "a")
    name = next(iter(FILES))
    blobs.put(object_name(str(entry.files[name]["sha256"])), directory.path(name))
    assert there.lookup("split", KEY) is None
    here.put("split", entry, directory)
    assert take(there, ExperimentDir(tmp_path / "there" / "experiments", "b")) is not None


def test_a_whole_experiment_is_taken_by_another_machine(blobs: BlobStore, tmp_path: Path) -> None:
    """Also that nothing is computed there: every stage is taken, and the report is the same to the byte."""
    actions, reports = [], []
    for name in ("here", "there"):
        settings = machine(tmp_path / name)
        attempt = Attempt(
            settings, "gb1", parse_flags(QUICK), store=StageStore(settings.paths.store_dir, blobs)
        )
        if name == "there":  # the database is not the same file, so its rows are not known before a query
            attempt.publish(attempt.run_stage("selection", attempt.record))
        actions.append(
            {
                stage: attempt.publish(attempt.run_stage(stage, attempt.record)).action
                for stage in always_made()
            }
        )
        reports.append(file_sha256(attempt.directory.report_json))
        attempt.close()
    assert actions[0] == dict.fromkeys(always_made(), "computed")
    assert set(actions[1].values()) - {actions[1]["selection"]} == {"taken"}
    assert reports[0] == reports[1]


def machine(folder: Path) -> Settings:
    found = load_settings({"PROTEINX_WORKDIR": str(folder)}, folder.parent)
    found.workdir.mkdir()
    write_catalog(found.database_path, n_singles=60, n_doubles=10)
    return found


# ---------------------------------------------------------------------- vectors of sequences
@pytest.fixture
def vectors_here(tmp_path: Path, blobs: BlobStore) -> Iterator[SequenceStore]:
    with SequenceStore(tmp_path / "here" / "sequences", blobs) as store:
        store.put_many(POLICY, sequence_keys(LETTERS, None), VECTORS)
        yield store


def known_there(folder: Path, blobs: BlobStore) -> tuple[np.ndarray, np.ndarray]:
    out = np.zeros((4, 4), dtype=np.float32)
    keys = sequence_keys(np.vstack([LETTERS, LETTERS[:1] + 1]), None)
    with SequenceStore(folder, blobs) as store:
        return store.get_many(POLICY, keys, out), out


def test_vectors_of_one_machine_are_known_to_another(
    vectors_here: SequenceStore, blobs: BlobStore, tmp_path: Path
) -> None:
    vectors_here.flush()
    known, out = known_there(tmp_path / "there" / "sequences", blobs)
    assert known.tolist() == [True, True, True, False]
    assert np.array_equal(out[:3], VECTORS)
    again, _ = known_there(tmp_path / "there" / "sequences", blobs)  # from its own folder now
    assert again.tolist() == [True, True, True, False]


def test_a_damaged_shard_is_computed_again_and_not_used(
    vectors_here: SequenceStore, blobs: BlobStore, tmp_path: Path
) -> None:
    vectors_here.flush()
    shard = next(name for name in blobs.names() if name.endswith(".safetensors"))
    content = bytearray(blobs.read(shard))
    content[-1] ^= 1
    blobs.remove(shard)
    blobs.write(shard, bytes(content))
    known, _ = known_there(tmp_path / "there" / "sequences", blobs)
    assert not known.any()
    assert shard not in set(blobs.names())
