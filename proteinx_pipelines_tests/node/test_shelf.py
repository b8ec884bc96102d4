"""Removing, archiving and restoring: nothing is lost, nothing damaged comes back, nothing that runs is touched."""

import hashlib
import io
import json
import shutil
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import CorruptArtifact, NodeBusy, UnknownExperiment
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.garbage import find_garbage, remove_garbage
from proteinx_pipelines.execution.references import find_references
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import file_sha256, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.archiving import Shelf
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.documents import experiment_document
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.execution.test_store import run


def make_shelf(folder: Path) -> Shelf:
    """An empty WORKDIR with a small catalog."""
    settings = load_settings({"PROTEINX_WORKDIR": str(folder / "workdir")}, folder)
    settings.workdir.mkdir()
    write_catalog(settings.database_path, n_singles=60, n_doubles=0)
    return Shelf(settings, Ledger(settings.state_path))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return make_shelf(tmp_path)


def accept(shelf: Shelf, experiment_id: str, generation: int = 1) -> None:
    shelf.state.accept(
        experiment_id=experiment_id, message_key=f"{experiment_id}/{generation}",
        message_id=None, priority=0, payload_ref=None, flags=parse_flags(QUICK).nested(), raw=b'{"raw": 1}',
    )  # fmt: skip


def finish(shelf: Shelf, experiment_id: str, generation: int = 1) -> None:
    current = shelf.state.generation(experiment_id, generation)
    assert current is not None
    assert shelf.state.finish(
        current, Outcome("SUCCEEDED", summary={"x": 1.0}), f"r-{experiment_id}-{generation}", "{}"
    )


def finished(shelf: Shelf, experiment_id: str, *, delivered: bool = True) -> ExperimentDir:
    """An experiment that has run and ended: four stages, a history, a result."""
    accept(shelf, experiment_id)
    run(shelf.settings, experiment_id)
    directory = ExperimentDir(shelf.settings.experiments_dir, experiment_id)
    write_document(
        directory,
        generation=1,
        attempt=1,
        status="SUCCEEDED",
        flags={},
        pipeline=read_pipeline(directory.pipeline),
    )
    finish(shelf, experiment_id)
    if delivered:
        shelf.state.delivered(f"r-{experiment_id}-1", 1)
    return directory


def digests(directory: ExperimentDir) -> dict[str, str]:
    return {
        path.relative_to(directory.root).as_posix(): file_sha256(path)
        for path in directory.root.rglob("*")
        if path.is_file()
    }


def test_a_removed_experiment_leaves_nothing_and_its_id_is_free(shelf: Shelf) -> None:
    directory = finished(shelf, "a")
    other = digests(finished(shelf, "b"))
    assert shelf.remove("a")
    assert not directory.root.exists()
    assert shelf.state.latest("a") is None
    assert shelf.state.history("a") == []
    assert shelf.state.answered("a/1") is None
    assert list((shelf.settings.workdir / "trash").iterdir()) == []
    assert digests(ExperimentDir(shelf.settings.experiments_dir, "b")) == other
    accept(shelf, "a")
    assert run(shelf.settings, "a")["embedding"] == "taken"


def test_a_result_that_is_still_owed_outlives_its_experiment(shelf: Shelf) -> None:
    finished(shelf, "a", delivered=False)
    shelf.remove("a")
    assert [row.result_id for row in shelf.state.undelivered()] == ["r-a-1"]


def test_removing_what_is_not_there_says_so(shelf: Shelf) -> None:
    assert not shelf.remove("nobody")


def test_an_id_in_other_letters_is_the_same_experiment(shelf: Shelf) -> None:
    finished(shelf, "a")
    assert shelf.remove("A")
    assert shelf.state.latest("a") is None


@pytest.mark.parametrize("action", ["remove", "archive"])
@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_what_waits_or_runs_is_left_alone(shelf: Shelf, action: str, state: str) -> None:
    before = digests(finished(shelf, "a"))
    accept(shelf, "a", 2)
    if state == "RUNNING":
        assert shelf.state.begin("a", 2, 1, run_id="r", host_pid=1, timeout_s=None)
    with pytest.raises(NodeBusy, match=state):
        getattr(shelf, action)("a")
    assert digests(ExperimentDir(shelf.settings.experiments_dir, "a")) == before
    assert not shelf.archive_path("a").exists()


def test_one_that_was_started_by_hand_needs_force(shelf: Shelf) -> None:
    run(shelf.settings, "a")
    write_json(
        shelf.settings.experiments_dir / "a" / "experiment.json",
        experiment_document(status="RUNNING", generation=1),
    )
    with pytest.raises(NodeBusy, match="--force"):
        shelf.archive("a")
    assert shelf.archive("a", force=True).is_file()


def test_what_comes_back_is_what_was_archived(shelf: Shelf) -> None:
    directory = finished(shelf, "a")
    before, history = digests(directory), shelf.state.history("a")
    archive = shelf.archive("a")
    assert not directory.root.exists()
    assert shelf.state.history("a") == history
    assert shelf.state.answered("a/1") is not None
    assert shelf.restore(archive).root == directory.root
    assert digests(directory) == before
    assert shelf.state.history("a") == history
    plan = plan_experiment(shelf.settings, "a", parse_flags(QUICK), None)
    assert [planned.action for planned in plan.stages[:4]] == ["reused"] * 4


def test_a_restored_experiment_fills_the_store_again(shelf: Shelf) -> None:
    finished(shelf, "a")
    archive = shelf.archive("a")
    store = StageStore(shelf.settings.workdir / "store")
    references = find_references(shelf.settings)
    assert remove_garbage(store, find_garbage(store, references, unused_since=time.time() + 1e6))
    shelf.restore(archive)
    assert set(run(shelf.settings, "b").values()) == {"computed", "taken"}


def test_an_archive_brings_its_history_to_another_workdir(shelf: Shelf, tmp_path: Path) -> None:
    finished(shelf, "a", delivered=False)
    archive = shelf.archive("a")
    (tmp_path / "other").mkdir()
    other = make_shelf(tmp_path / "other")
    other.restore(archive)
    found = other.state.latest("a")
    assert found is not None
    assert (found.state, found.summary, found.result_id) == ("SUCCEEDED", {"x": 1.0}, "r-a-1")
    assert other.state.answered("a/1") is not None
    assert other.state.result("r-a-1") == {}
    assert other.state.undelivered() == []
    assert len(other.state.history("a")) == len(shelf.state.history("a"))


def test_nothing_is_put_over_an_experiment(shelf: Shelf) -> None:
    finished(shelf, "a")
    archive = shelf.archive("a")
    before = digests(finished(shelf, "b"))
    shelf.restore(archive)
    with pytest.raises(NodeBusy, match="already"):
        shelf.restore(archive)
    assert digests(ExperimentDir(shelf.settings.experiments_dir, "b")) == before


def test_an_archive_is_not_put_behind_a_newer_generation(shelf: Shelf) -> None:
    finished(shelf, "a")
    archive = shelf.archive("a")
    accept(shelf, "a", 2)
    finish(shelf, "a", 2)
    with pytest.raises(NodeBusy, match="generation 2"):
        shelf.restore(archive)


def test_an_archive_that_is_there_is_not_written_over(shelf: Shelf) -> None:
    finished(shelf, "a")
    archive = shelf.archive("a")
    content = archive.read_bytes()
    shelf.restore(archive)
    with pytest.raises(NodeBusy, match="already"):
        shelf.archive("a")
    assert archive.read_bytes() == content


def test_what_is_not_there_is_named(shelf: Shelf) -> None:
    with pytest.raises(UnknownExperiment, match="nobody"):
        shelf.archive("nobody")
    with pytest.raises(UnknownExperiment, match=r"nobody\.tar"):
        shelf.restore(shelf.archive_path("nobody"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, bytes, dict[str, str]]:
    """A WORKDIR whose one experiment is archived: the archive's bytes, and the digests of what was in it."""
    shelf = make_shelf(tmp_path_factory.mktemp("packed"))
    expected = digests(finished(shelf, "a"))
    return shelf, shelf.archive("a").read_bytes(), expected


def restored(shelf: Shelf, content: bytes, tmp_path: Path) -> dict[str, str] | None:
    """Experiment restored from these bytes; None when they are refused, which must change nothing."""
    archive = tmp_path / "x.tar"
    archive.write_bytes(content)
    try:
        directory = shelf.restore(archive)
    except CorruptArtifact:
        assert not shelf.settings.experiments_dir.exists() or not list(
            shelf.settings.experiments_dir.iterdir()
        )
        return None
    found = digests(directory)
    shutil.rmtree(directory.root)
    return found


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, place: int, bit: int
) -> None:
    """Harmless: the filling between two files of a tar."""
    shelf, content, expected = packed
    flipped = bytearray(content)
    flipped[place % len(content)] ^= 1 << bit
    assert restored(shelf, bytes(flipped), tmp_path) in (None, expected)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_an_archive_cut_short_is_refused(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, kept: float
) -> None:
    shelf, content, _ = packed
    end = len(content.rstrip(b"\0"))  # tar fills up with zeros, which nobody misses
    assert restored(shelf, content[: int(end * kept)], tmp_path) is None


def rewritten(
    content: bytes, change: Any = None, more: list[tuple[tarfile.TarInfo, bytes]] | None = None
) -> bytes:
    """The archive with another manifest, and more members."""
    out, previous = io.BytesIO(), b""
    with tarfile.open(fileobj=io.BytesIO(content)) as source, tarfile.open(fileobj=out, mode="w") as target:
        for member in source:
            stream = source.extractfile(member)
            assert stream is not None
            data = stream.read()
            if member.name == "manifest.json" and change is not None:
                manifest = json.loads(data)
                change(manifest)
                data = json.dumps(manifest).encode()
            if member.name == "manifest.sha256" and change is not None:
                data = hashlib.sha256(previous).hexdigest().encode()
            member.size, previous = len(data), data
            target.addfile(member, io.BytesIO(data))
        for member, data in more or []:
            target.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return found, b""


@pytest.mark.parametrize(
    "more",
    [
        member("../evil"), member("/tmp/evil"), member("experiment/../../evil"), member("experiment/unlisted"),
        member("experiment/link", tarfile.SYMTYPE), member("experiment/experiment.json"), member("manifest.json"),
    ],
    ids=lambda found: found[0].name,
)  # fmt: skip
def test_members_that_are_not_listed_are_refused(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, more: tuple[tarfile.TarInfo, bytes]
) -> None:
    shelf, content, _ = packed
    assert restored(shelf, rewritten(content, more=[more]), tmp_path) is None
    assert not list(shelf.settings.workdir.parent.rglob("evil"))


def _lists(name: str) -> Any:
    return lambda manifest: manifest["files"].update({name: {"size": 0, "sha256": ""}})


@pytest.mark.parametrize(
    "change",
    [
        _lists("../evil"), _lists("/evil"), _lists("a/../../evil"), _lists("C:\\evil"), _lists("missing.json"),
        lambda manifest: manifest.update(format=2),
        lambda manifest: manifest.update(experiment_id="../a"),
        lambda manifest: manifest.update(files=[]),
        lambda manifest: manifest.pop("state"),
        lambda manifest: manifest["state"]["generations"][0].update(state="PENDING"),
    ],
)  # fmt: skip
def test_a_manifest_that_lies_is_refused(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, change: Any
) -> None:
    shelf, content, expected = packed
    assert restored(shelf, rewritten(content), tmp_path) == expected
    assert restored(shelf, rewritten(content, change), tmp_path) is None


JUNK: tuple[Any, ...] = (
    None, True, -1, 2**70, 1.5, 1e300, "", "x", "\0", "a" * 300, "../x", "2026-01-01", [], [1], {}, {"a": 1},
    {"base64": "!"}, {"base64": 5},
)  # fmt: skip
"""Values anywhere in the history of an archive."""


def _places(node: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [(*before,), *(place for name, item in inner for place in _places(item, (*before, name)))]


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_stands_in_the_history_is_refused_or_can_be_read_again(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, data: st.DataObject
) -> None:
    """Six of these ended `experiment restore` in a trace, some after rows had been put into `state.db`."""
    shelf, content, _ = packed

    def change(manifest: dict[str, Any]) -> None:
        place = data.draw(st.sampled_from(_places(manifest["state"])[1:]))
        node = manifest["state"]
        for name in place[:-1]:
            node = node[name]
        if data.draw(st.booleans()):
            node[place[-1]] = data.draw(st.sampled_from(JUNK))
        else:
            del node[place[-1]]

    with shelf.state.held() as held:
        held.forget("a")
    before = shelf.state.history("a"), shelf.state.counts()
    if restored(shelf, rewritten(content, change), tmp_path) is None:
        assert (shelf.state.history("a"), shelf.state.counts()) == before
    shelf.state.listing(10)
    shelf.state.latest("a")
    with shelf.state.held() as held:
        held.forget("a")


def test_rows_of_another_experiment_do_not_come_in(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path
) -> None:
    shelf, content, _ = packed

    def change(manifest: dict[str, Any]) -> None:
        manifest["state"]["outbox"][0]["experiment_id"] = "victim"

    assert restored(shelf, rewritten(content, change), tmp_path) is None
    assert shelf.state.history("victim") == []


@pytest.mark.parametrize("name", ["experiment/a" + "b" * 300, "experiment/experiment.json/x"])
def test_a_name_that_no_folder_can_have_is_refused_in_words(
    packed: tuple[Shelf, bytes, dict[str, str]], tmp_path: Path, name: str
) -> None:
    shelf, content, _ = packed
    nothing = hashlib.sha256(b"").hexdigest()

    def lists(manifest: dict[str, Any]) -> None:
        manifest["files"][name.removeprefix("experiment/")] = {"size": 0, "sha256": nothing}

    assert restored(shelf, rewritten(content, lists, more=[member(name)]), tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x1f\x8b" + b"x" * 600, b"PK\x03\x04", b"\0" * 1024, b"\xff" * 512]
)
def test_what_is_no_archive_is_refused_in_words(shelf: Shelf, tmp_path: Path, content: bytes) -> None:
    assert restored(shelf, content, tmp_path) is None


@pytest.mark.parametrize("folder", ["", "generations/1/"])
@pytest.mark.parametrize(
    "change",
    [
        lambda stages: stages["split"]["files"].update({"../../state.db": {"size": 0, "sha256": ""}}),
        lambda stages: stages["split"].update(key="../../../evil"),
        lambda stages: stages.update({"../evil": stages["split"]}),
        lambda stages: stages["split"].update(files=None),
    ],
)
def test_stages_that_name_files_outside_the_experiment_are_refused(
    shelf: Shelf, tmp_path: Path, change: Any, folder: str
) -> None:
    """Every byte was as the manifest says; `state.db` would have been deleted when that stage ran again."""
    directory = finished(shelf, "a")
    document = json.loads(directory.pipeline.read_text(encoding="utf-8"))
    change(document["stages"])
    write_json(directory.path(f"{folder}config/pipeline.json"), document)
    archive = shelf.archive("a")
    with pytest.raises(CorruptArtifact, match=r"config/pipeline\.json does not hold what a node writes"):
        shelf.restore(archive)
    assert list(shelf.settings.experiments_dir.iterdir()) == []
    assert not list(tmp_path.rglob("*evil*"))


def test_the_archive_is_a_tar_that_any_program_reads(packed: tuple[Shelf, bytes, dict[str, str]]) -> None:
    _, content, expected = packed
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        names = tar.getnames()
    assert names[:2] == ["manifest.json", "manifest.sha256"]
    assert set(names[2:]) == {f"experiment/{name}" for name in expected}


def test_a_removed_experiment_leaves_no_status_hash(shelf: Shelf, redis_url: str) -> None:
    """The Master's page would show an experiment that is nowhere else."""
    client = connect(redis_url)
    client.flushdb()
    shelf = Shelf(replace(shelf.settings, redis_url=redis_url), shelf.state)
    for name in ("a", "b"):
        finished(shelf, name)
        client.hset(f"experiments:status:{name}", "state", "SUCCEEDED")
    assert shelf.remove("A")
    assert client.keys("experiments:status:*") == [b"experiments:status:b"]
    assert not shelf.remove("A")


def test_a_status_hash_that_could_not_be_removed_is_removed_by_the_next_call(
    shelf: Shelf, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(redis_url)
    client.flushdb()
    finished(shelf, "a")
    client.hset("experiments:status:a", "state", "SUCCEEDED")
    away = replace(shelf.settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert Shelf(away, shelf.state).remove("a")
    assert "The status of a stays there" in caplog.text
    assert Shelf(replace(shelf.settings, redis_url=redis_url), shelf.state).remove("a")
    assert not client.exists("experiments:status:a")
