"""Housekeeping of the store: needed entries stay, even beside other processes; damaged ones are named."""

import multiprocessing
import os
import shutil
import time
from multiprocessing.sharedctypes import SynchronizedArray as Array
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.garbage import find_garbage, remove_garbage
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.outside_inputs import outside_inputs
from proteinx_pipelines.execution.references import find_references
from proteinx_pipelines.execution.repair import Repair, repair
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.execution.store_contents import stored_stages, stored_vectors, verify_store
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.execution.test_store import run
from proteinx_pipelines_tests.vanishing import vanishing

LATER = time.time() + 1e6


@pytest.fixture
def store(settings: Settings) -> StageStore:
    return StageStore(settings.workdir / "store")


def collect(settings: Settings, unused_since: float = LATER) -> list[str]:
    """Items that a collection removes, by stage or kind."""
    store = StageStore(settings.workdir / "store")
    found = find_garbage(store, find_references(settings), unused_since=unused_since)
    return sorted(garbage.what.split()[0] for garbage in remove_garbage(store, found))


def count(store: StageStore) -> dict[str, int]:
    found: dict[str, int] = {}
    for stored in stored_stages(store):
        found[stored.stage] = found.get(stored.stage, 0) + 1
    return found


def remove(settings: Settings, experiment_id: str) -> None:
    shutil.rmtree(settings.experiments_dir / experiment_id)


def test_what_an_experiment_refers_to_stays(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    run(settings, "b", **{"split.seed": 3})
    assert collect(settings) == []
    assert count(store) == {"selection": 1, "transform": 1, "embedding": 1, "split": 2}


def test_what_only_a_removed_experiment_had_goes(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    run(settings, "b", **{"split.seed": 3})
    remove(settings, "b")
    assert collect(settings) == ["split"]
    assert count(store)["split"] == 1
    assert run(settings, "c")["split"] == "taken"


def test_what_was_used_lately_stays(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    remove(settings, "a")
    for stored in stored_stages(store):
        os.utime(stored.folder, (1000, 1000))
    taken = next(stored for stored in stored_stages(store) if stored.stage == "transform")
    assert taken.entry is not None
    store.place("transform", taken.entry, ExperimentDir(settings.workdir / "elsewhere", "x"))
    shutil.rmtree(settings.workdir / "elsewhere")
    assert collect(settings, unused_since=2000) == ["embedding", "selection", "split"]
    assert count(store) == {"transform": 1}


def test_what_an_earlier_generation_had_stays(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    directory = ExperimentDir(settings.experiments_dir, "a")
    write_document(
        directory,
        generation=1,
        attempt=1,
        status="SUCCEEDED",
        flags={},
        pipeline=read_pipeline(directory.pipeline),
    )
    archive_generation(directory, 2)
    run(settings, "a", **{"split.seed": 3})
    assert collect(settings) == []
    assert run(settings, "a")["split"] == "taken"


def test_what_a_waiting_experiment_was_promised_stays(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    flags = parse_flags(QUICK)
    state = Ledger(settings.state_path)
    state.accept(
        experiment_id="b", message_key="m", message_id=None, priority=0,
        payload_ref=None, flags=flags.nested(), raw=b"{}",
    )  # fmt: skip
    state.planned("b", 1, plan_experiment(settings, "b", flags, None).document())
    remove(settings, "a")
    assert collect(settings) == ["a"]  # the remembered selection
    assert count(store) == {"selection": 1, "transform": 1, "embedding": 1, "split": 1}


def test_what_has_another_name_stays(settings: Settings, store: StageStore, tmp_path: Path) -> None:
    """A directory that was moved elsewhere on the disk: its files are the store's."""
    run(settings, "a")
    (settings.experiments_dir / "a").rename(tmp_path / "moved")
    assert collect(settings) == ["a"]
    assert count(store)["embedding"] == 1


def test_an_unreadable_pipeline_file_stops_everything(settings: Settings, store: StageStore) -> None:
    """Unknown is not empty."""
    run(settings, "a")
    for text in ("{", '{"format": 99, "stages": {}}'):
        (settings.experiments_dir / "a" / "config" / "pipeline.json").write_text(text, encoding="utf-8")
        with pytest.raises(CorruptArtifact, match="nothing was removed"):
            collect(settings)
    assert count(store)["split"] == 1


def test_what_is_used_while_it_is_collected_stays(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    remove(settings, "a")
    found = find_garbage(store, find_references(settings), unused_since=LATER)
    os.utime(next(stored.folder for stored in stored_stages(store) if stored.stage == "split"), (3e9, 3e9))
    gone = remove_garbage(store, found)
    assert "split" not in {garbage.what.split()[0] for garbage in gone}
    assert count(store) == {"split": 1}


def test_vectors_that_nobody_refers_to_go(settings: Settings, store: StageStore) -> None:
    with SequenceStore(store.sequences_dir) as vectors:
        vectors.put_many({"name": "x"}, np.zeros((3, 32), np.uint8), np.zeros((3, 4), np.float32))
    (stored,) = stored_vectors(store)
    assert (stored.policy, stored.n_rows) == ({"name": "x"}, 1)  # equal keys are one row
    assert collect(settings, unused_since=1000) == []
    assert len(collect(settings)) == 1
    assert not list(stored_vectors(store))


def test_what_a_dead_process_left_goes_after_a_while(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    left = next((store.root / "split").glob("*")) / ".key-1234.partial"
    left.mkdir()
    assert collect(settings) == []
    os.utime(left, (1000, 1000))
    assert collect(settings) == ["left"]
    assert not left.exists()


def test_a_whole_store_is_found_whole(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    assert verify_store(store, find_references(settings)) == []


def flip(path: Path) -> None:
    """Change one bit in place: every link to the file sees it."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))


def test_damage_is_named_with_those_who_have_it_and_nothing_is_changed(
    settings: Settings, store: StageStore
) -> None:
    run(settings, "a")
    run(settings, "b")
    with SequenceStore(store.sequences_dir) as vectors:
        vectors.put_many({"name": "x"}, np.zeros((3, 32), np.uint8), np.zeros((3, 4), np.float32))
    flip(next((store.root / "split").rglob("train_ids.json")))
    flip(next(store.sequences_dir.rglob("*.safetensors")))
    next((store.root / "transform").rglob("entry.json")).write_text("{", encoding="utf-8")
    for _ in range(2):
        found = verify_store(store, find_references(settings))
        assert [damage.what.split()[0] for damage in found] == ["transform", "split", "sequences"]
        assert [damage.experiments for damage in found] == [("a", "b"), ("a", "b"), ()]
    assert not (store.root / "quarantine").exists()


def repair_all(settings: Settings, store: StageStore) -> list[Repair]:
    return [repair(settings, damage) for damage in verify_store(store, find_references(settings))]


def test_a_repair_puts_back_what_an_experiment_has_whole(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    next((store.root / "transform").rglob("entry.json")).write_text("{", encoding="utf-8")
    (done,) = repair_all(settings, store)
    assert (done.put_back_from, done.forgotten_by, done.busy) == ("a", (), ())
    assert done.quarantine.is_dir()
    assert verify_store(store, find_references(settings)) == []
    assert run(settings, "b")["transform"] == "taken"


def test_after_a_repair_those_with_the_damaged_bytes_compute_that_stage_again_and_no_other(
    settings: Settings, store: StageStore
) -> None:
    run(settings, "a")
    whole = next((settings.experiments_dir / "a").rglob("train_ids.json")).read_bytes()
    flip(next((store.root / "split").rglob("train_ids.json")))
    assert run(settings, "a")["split"] == "reused", "before the repair the damage went on unseen"
    (done,) = repair_all(settings, store)
    assert (done.put_back_from, done.forgotten_by) == (None, ("a",))
    actions = run(settings, "a")
    assert actions == {
        "selection": "reused",
        "transform": "reused",
        "embedding": "reused",
        "split": "computed",
    }
    assert next((settings.experiments_dir / "a").rglob("train_ids.json")).read_bytes() == whole
    assert verify_store(store, find_references(settings)) == []


def test_a_repair_leaves_an_experiment_that_waits_alone(settings: Settings, store: StageStore) -> None:
    run(settings, "a")
    state = Ledger(settings.state_path)
    state.accept(experiment_id="a", message_key="k", message_id=None, priority=0,
                 payload_ref=None, flags=parse_flags(QUICK).nested(), raw=b"")  # fmt: skip
    flip(next((store.root / "split").rglob("train_ids.json")))
    (done,) = repair_all(settings, store)
    assert (done.forgotten_by, done.busy) == ((), ("a",))
    entry = read_pipeline(ExperimentDir(settings.experiments_dir, "a").pipeline).stages["split"]
    assert entry.key


def test_a_repaired_shard_of_vectors_is_in_quarantine(settings: Settings, store: StageStore) -> None:
    with SequenceStore(store.sequences_dir) as vectors:
        vectors.put_many({"name": "x"}, np.zeros((3, 32), np.uint8), np.zeros((3, 4), np.float32))
    flip(next(store.sequences_dir.rglob("*.safetensors")))
    (done,) = repair_all(settings, store)
    assert done.quarantine.is_file()
    assert verify_store(store, find_references(settings)) == []


def _collect_until(settings: Settings, started: Event, done: Event, counts: "Array[int]") -> None:
    """Collect until `done`; `counts`: how often it was looked, how many things were removed."""
    while not done.is_set():
        removed = collect(settings)
        counts[0] += 1
        counts[1] += len(removed)
        started.set()


@pytest.mark.slow
def test_experiments_run_while_everything_unused_is_collected(settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    started, done, counts = context.Event(), context.Event(), context.Array("i", [0, 0])
    collector = context.Process(target=_collect_until, args=(settings, started, done, counts))
    collector.start()
    try:
        assert started.wait(120), "the collector did not start"  # it imports for longer than the runs take
        before, number = counts[0], -1
        while number < 11 or counts[0] - before <= 5:
            number += 1
            actions = run(settings, f"e{number % 3}", **{"split.seed": number % 4})
            assert set(actions) == {"selection", "transform", "embedding", "split"}
            if number % 3 == 2:
                remove(settings, "e0")
    finally:
        done.set()
        collector.join(60)
    assert collector.exitcode == 0
    assert counts[1] > 0, "nothing was collected: this test would see nothing"


def test_an_experiment_that_goes_while_references_are_looked_for_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection ended with "cannot be read", as if a file were damaged."""
    for name in ("a", "b"):
        run(settings, name)
    vanishing(monkeypatch, ExperimentDir(settings.experiments_dir, "a").pipeline)
    assert set.union(*find_references(settings).stages.values()) == {"b"}


def test_a_shard_that_a_worker_merges_while_it_is_listed_ends_nothing(
    settings: Settings, store: StageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SequenceStore(store.sequences_dir) as vectors:
        vectors.put_many({"name": "x"}, np.zeros((3, 32), np.uint8), np.zeros((3, 4), np.float32))
    vanishing(monkeypatch, next(store.sequences_dir.rglob("*.safetensors")))
    (stored,) = stored_vectors(store)
    assert stored.n_rows == 0


@pytest.mark.parametrize("folder", ["quarantine", "trash", "rows", "digests"])
def test_what_vanishes_while_garbage_is_looked_for_is_none(
    settings: Settings, store: StageStore, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    left = store.root / folder / "left.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}", encoding="utf-8")
    vanishing(monkeypatch, left)
    assert find_garbage(store, find_references(settings), unused_since=LATER) == []


def test_remembered_digests_of_files_that_changed_are_collected(
    settings: Settings, store: StageStore
) -> None:
    """Each changed file left one behind, for ever."""
    file = settings.workdir / "my.ckpt"
    for content in (b"one", b"three"):
        file.write_bytes(content)
        flags = parse_flags({**QUICK, "model.name": "mlp", "train.ckpt_path": str(file)})
        outside_inputs("train", flags, lambda _name, text: Path(text) if text else None, store.root)
    assert len(list((store.root / "digests").iterdir())) == 2
    assert collect(settings) == ["a"]
    assert len(list((store.root / "digests").iterdir())) == 1
