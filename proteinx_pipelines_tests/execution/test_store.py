"""The stage store: taken over whole or not at all, despite kills, flipped bits and concurrent processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.files.blobs.folder import place
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.racing import Barrier, race

STAGES = always_made()

FILES = {"splits/a.json": b"alpha" * 40, "splits/fold_0/b.json": b"beta" * 10}
KEY = "5e" * 32


def run(settings: Settings, experiment_id: str, **changes: Any) -> dict[str, str]:
    """The four stages that need no model, as a script would; what happened to each."""
    before = read_pipeline(ExperimentDir(settings.experiments_dir, experiment_id).pipeline)
    flags = parse_flags({**QUICK, **changes})
    attempt = Attempt(settings, experiment_id, flags, generation=before.generation + 1)
    try:
        return {name: attempt.publish(attempt.run_stage(name, attempt.record)).action for name in STAGES[:4]}
    finally:
        attempt.close()


def make_directory(root: Path, name: str) -> tuple[ExperimentDir, StageEntry]:
    """An experiment that has one stage of two files."""
    directory = ExperimentDir(root / "experiments", name)
    for relative, content in FILES.items():
        directory.path(relative).parent.mkdir(parents=True, exist_ok=True)
        directory.path(relative).write_bytes(content)
    facts = {
        name: {"size": len(content), "sha256": file_sha256(directory.path(name))}
        for name, content in FILES.items()
    }
    entry = StageEntry(
        key=KEY, version="1", flags={}, inputs={}, digests={"all": "d"}, files=facts, action="computed",
        origin={"experiment_id": name, "generation": 1},
    )  # fmt: skip
    return directory, entry


def take(store: StageStore, directory: ExperimentDir) -> StageEntry | None:
    entry = store.verified("split", KEY)
    return entry if entry is not None and store.place("split", entry, directory) else None


def test_what_was_put_is_taken_byte_for_byte(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "store")
    store.put("split", make_directory(tmp_path, "a")[1], make_directory(tmp_path, "a")[0])
    other = ExperimentDir(tmp_path / "experiments", "b")
    found = take(store, other)
    assert found is not None
    assert found.action == "taken"
    assert found.origin["experiment_id"] == "a"
    assert {name: other.path(name).read_bytes() for name in FILES} == FILES


def test_files_are_linked_and_not_copied(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    store.put("split", entry, directory)
    other = ExperimentDir(tmp_path / "experiments", "b")
    take(store, other)
    assert other.path("splits/a.json").stat().st_ino == directory.path("splits/a.json").stat().st_ino


def test_across_file_systems_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    store = StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    store.put("split", entry, directory)
    other = ExperimentDir(tmp_path / "experiments", "b")
    assert take(store, other) is not None
    assert {name: other.path(name).read_bytes() for name in FILES} == FILES


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.endswith(".partial")]


def test_a_copy_that_fails_leaves_nothing_in_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping goes through the store only: gigabytes stayed in the experiment, and came into its archive."""

    def refused(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    def cut_short(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(shutil, "copyfile", cut_short)
    (tmp_path / "source").write_bytes(b"whole")
    with pytest.raises(OSError, match="No space"):
        place(tmp_path / "source", tmp_path / "experiment" / "target")
    assert list((tmp_path / "experiment").iterdir()) == []


def test_placing_a_file_where_it_is_already_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Renaming a link over another link to the same file does nothing, and the first one stayed."""
    store = StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    store.put("split", entry, directory)
    assert take(store, directory) is not None
    assert leftovers(directory.root) == []
    assert {name: directory.path(name).read_bytes() for name in FILES} == FILES


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FILES)), where=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, name: str, where: int, bit: int
) -> None:
    root = tmp_path_factory.mktemp("w")
    store = StageStore(root / "store")
    directory, entry = make_directory(root, "a")
    store.put("split", entry, directory)
    stored = next((root / "store" / "split").rglob(Path(name).name))
    content = bytearray(stored.read_bytes())
    content[where % len(content)] ^= 1 << bit
    stored.write_bytes(bytes(content))
    other = ExperimentDir(root / "experiments", "b")
    assert take(store, other) is None
    assert not other.path(name).exists()
    assert store.lookup("split", KEY) is None
    assert len(list((root / "store" / "quarantine").iterdir())) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', json.dumps({"key": KEY, "files": {}})])
def test_an_entry_that_cannot_be_read_is_replaced(tmp_path: Path, text: str) -> None:
    store = StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    store.put("split", entry, directory)
    next((tmp_path / "store").rglob("entry.json")).write_text(text, encoding="utf-8")
    assert store.verified("split", KEY) is None
    store.put("split", entry, directory)
    assert store.verified("split", KEY) is not None


def test_an_entry_collected_while_it_is_taken_is_simply_not_there(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    store.put("split", entry, directory)
    found = store.verified("split", KEY)
    assert found is not None
    (tmp_path / "store" / "split").rename(tmp_path / "trash")
    assert not store.place("split", found, ExperimentDir(tmp_path / "experiments", "b"))


def test_an_entry_that_another_process_adds_behind_the_look_is_not_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for a damaged one and moved into quarantine, whole as it was."""
    store, other = StageStore(tmp_path / "store"), StageStore(tmp_path / "store")
    directory, entry = make_directory(tmp_path, "a")
    look = store.lookup

    def late(stage: str, key: str) -> StageEntry | None:
        found = look(stage, key)
        other.put("split", entry, directory)
        return found

    monkeypatch.setattr(store, "lookup", late)
    store.put("split", entry, directory)
    assert not (tmp_path / "store" / "quarantine").exists()
    assert other.verified("split", KEY) is not None


# ---------------------------------------------------------------------- two processes
def _put_many_times(root: Path, name: str, start: Barrier) -> None:
    store = StageStore(root / "store")
    directory, entry = make_directory(root, name)
    for number in range(15):
        key = f"{number:064x}"
        start.wait(120)
        store.put("split", StageEntry(**{**vars(entry), "key": key}), directory)
        found = store.verified("split", key)
        assert found is not None
        assert store.place("split", found, ExperimentDir(root / "experiments", f"{name}-taken"))


@pytest.mark.slow
def test_two_processes_put_and_take_the_same_key_at_once(tmp_path: Path) -> None:
    race(_put_many_times, (tmp_path, "a"), (tmp_path, "b"))
    entries = list((tmp_path / "store" / "split").glob("*/*"))
    assert len(entries) == 15
    assert all((entry / "entry.json").is_file() for entry in entries)
    assert not (tmp_path / "store" / "quarantine").exists()


def _run_all(settings: Settings, experiment_id: str, start: Barrier) -> None:
    start.wait(120)
    run(settings, experiment_id)


@pytest.mark.slow
def test_two_processes_compute_the_same_keys_at_once(settings: Settings) -> None:
    race(_run_all, (settings, "a"), (settings, "b"))
    found = [read_pipeline(ExperimentDir(settings.experiments_dir, name).pipeline).stages for name in "ab"]
    assert [entry.key for entry in found[0].values()] == [entry.key for entry in found[1].values()]
    assert [entry.files for entry in found[0].values()] == [entry.files for entry in found[1].values()]
    assert set(run(settings, "c").values()) == {"taken"}


# ---------------------------------------------------------------------- killed
KILLED = """
import os, signal, sys
from pathlib import Path
from proteinx_pipelines.execution import publishing, store
from proteinx_pipelines.files.blobs import folder
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.test_store import run

workdir, moment, stage, flags = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def at(owner, name, is_now, *, after=False):
    original = getattr(owner, name)
    def wrapped(*args):
        if is_now(*args) and not after:
            die()
        found = original(*args)
        if is_now(*args):
            die()
        return found
    setattr(owner, name, wrapped)

if moment == "written, not registered":
    at(folder, "sync_folder", lambda folder: f"store/{stage}/" in folder.as_posix() and folder.suffix == ".partial")
if moment == "moved, not written down":
    at(publishing.Publisher, "_record", lambda self, name, entry: name == stage)
if moment == "written down, not stored":
    at(store.StageStore, "put", lambda self, name, entry, directory: name == stage)
if moment == "registered":
    at(store.StageStore, "put", lambda self, name, entry, directory: name == stage, after=True)
if moment == "half moved":
    Path_replace = Path.replace
    moved = []
    def replace(self, target):
        done = Path_replace(self, target)
        if f"staging/" in self.as_posix() and "/splits/" in self.as_posix() and ".partial" not in self.name:
            moved.append(self)
        if len(moved) == 2:
            die()
        return done
    Path.replace = replace
import json
run(load_settings({"PROTEINX_WORKDIR": workdir}, Path(workdir)), "a", **json.loads(flags))
"""
MOMENTS = (
    "half moved", "moved, not written down", "written, not registered", "written down, not stored", "registered",
)  # fmt: skip


def run_killed(settings: Settings, moment: str, **flags: Any) -> None:
    """All stages in a process that is killed at a moment of its split."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(settings.workdir), moment, "split", json.dumps(flags)],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def contents(settings: Settings, experiment_id: str) -> dict[str, str]:
    """Digest of every result file."""
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    files = read_pipeline(directory.pipeline).stages.values()
    return {name: file_sha256(directory.path(name)) for entry in files for name in entry.files}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, str]:
    """Files left by an undisturbed execution."""
    other = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "other")}, tmp_path)
    other.workdir.mkdir()
    write_catalog(other.database_path)
    run(other, "a")
    return {name: digest for name, digest in contents(other, "a").items() if name != "config/data_query.json"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_between_writing_and_registering_is_mended_by_the_next_attempt(
    settings: Settings, moment: str, expected: dict[str, str]
) -> None:
    run_killed(settings, moment)
    actions = run(settings, "a")
    assert actions["selection"] == actions["transform"] == "reused"
    found = contents(settings, "a")
    assert {name: found[name] for name in expected} == expected
    after = run(settings, "b")
    assert set(after.values()) == {"taken"}
    assert not (settings.workdir / "store" / "quarantine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["half moved", "moved, not written down"])
def test_files_of_a_killed_attempt_never_pass_for_those_of_the_one_before(
    settings: Settings, moment: str, expected: dict[str, str]
) -> None:
    """Flags A, a kill in the middle of flags B, then flags A again: the files in place are B's, of the same sizes."""
    run(settings, "a")
    run_killed(settings, moment, **{"split.seed": 3})
    actions = run(settings, "a")
    assert actions["split"] == "taken"
    found = contents(settings, "a")
    assert {name: found[name] for name in expected} == expected


def test_files_that_only_the_stage_before_had_are_removed(settings: Settings) -> None:
    run(settings, "a", **{"split.folds": 3})
    run(settings, "b")
    root = settings.experiments_dir / "a"
    assert (root / "splits" / "fold_2" / "test_ids.json").is_file()
    assert run(settings, "a")["split"] == "taken"
    assert not (root / "splits" / "fold_2" / "test_ids.json").exists()
    assert (root / "splits" / "test_ids.json").is_file()
