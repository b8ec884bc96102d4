"""Stages in the shared store: what one machine has computed, another takes over, byte for byte or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.execution.shared_stages import send_stage
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import entry_text
from proteinx_pipelines.files.shared.names import object_name, stage_name
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.execution.test_store import FILES, KEY, make_directory, take
from proteinx_pipelines_tests.machines import Machine, actions
from proteinx_pipelines_tests.racing import Barrier, race


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "here", store_url)


@pytest.fixture
def there(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "there", store_url)


def put(machine: Machine) -> None:
    directory, entry = make_directory(machine.settings.workdir, "a")
    machine.store.put("split", entry, directory)


def taken_by(machine: Machine) -> ExperimentDir | None:
    directory = ExperimentDir(machine.settings.experiments_dir, "b")
    found = take(machine.store, directory)
    assert found is None or (found.action, found.origin["experiment_id"]) == ("taken", "a")
    return directory if found is not None else None


def contents(directory: ExperimentDir) -> dict[str, bytes]:
    return {name: directory.path(name).read_bytes() for name in FILES}


def test_what_one_machine_has_computed_another_takes_byte_for_byte(here: Machine, there: Machine) -> None:
    put(here)
    assert taken_by(there) is None  # not sent yet: nobody waits for that
    assert here.send() == 1
    taken = taken_by(there)
    assert taken is not None
    assert contents(taken) == FILES
    assert list((there.store.root / "fetched").iterdir()) == []


def test_a_stage_that_was_taken_is_kept_on_this_machine(here: Machine, there: Machine) -> None:
    put(here)
    here.send()
    assert taken_by(there) is not None
    for name in list(here.blobs.names()):
        here.blobs.remove(name)
    assert there.store.lookup("split", KEY) is not None
    assert taken_by(there) is not None


def test_what_is_there_already_is_not_sent_again(
    here: Machine, there: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here)
    put(there)
    here.send()
    monkeypatch.setattr(type(there.blobs), "put", lambda *_: pytest.fail("an object was sent twice"))
    assert there.send() == 1


def test_wrong_bytes_are_noticed_told_and_mended_by_computing_again(
    here: Machine, there: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    put(here)
    here.send()
    content = next(iter(FILES.values()))
    directory, entry = make_directory(here.settings.workdir, "a")
    digest = str(entry.files[next(iter(FILES))]["sha256"])
    here.blobs.write(object_name(digest), bytes([content[0] ^ 1]) + content[1:])
    assert taken_by(there) is None
    assert "is not used and is computed again" in caplog.text
    assert stage_name("split", KEY) not in set(here.blobs.names())
    put(there)  # computed again: the object is sent although one of its size is there
    there.send()
    third = Machine.at(there.settings.workdir.parent / "third", there.settings.store)
    taken = taken_by(third)
    assert taken is not None
    assert contents(taken) == FILES
    assert file_sha256(directory.path(next(iter(FILES)))) == digest


def test_without_the_doubt_the_wrong_bytes_would_stay(here: Machine, there: Machine) -> None:
    """The twin of the test above: an object of the right size counts as sent, unless it came wrong."""
    put(here)
    here.send()
    content = next(iter(FILES.values()))
    _, entry = make_directory(here.settings.workdir, "a")
    digest = str(entry.files[next(iter(FILES))]["sha256"])
    here.blobs.write(object_name(digest), bytes([content[0] ^ 1]) + content[1:])
    assert taken_by(there) is None
    there.outgoing.trust(digest)
    put(there)
    there.send()
    third = Machine.at(there.settings.workdir.parent / "third", there.settings.store)
    assert taken_by(third) is None


@pytest.mark.parametrize("change", ["digest", "key", "text", "format"])
def test_an_entry_with_other_bytes_than_were_sent_is_not_used(
    here: Machine, there: Machine, change: str
) -> None:
    """Also one that can be read: the stages behind are keyed by the digests that it lists."""
    put(here)
    here.send()
    name = stage_name("split", KEY)
    document = json.loads(here.blobs.read(name))
    if change == "digest":
        document["entry"]["digests"]["all"] = "e"
    elif change == "key":
        document["key"] = "0" * 64
    elif change == "format":
        document["format"] = 2
    text = json.dumps(document).encode()
    here.blobs.write(name, text[: len(text) // 2] if change == "text" else text)
    assert taken_by(there) is None
    assert name not in set(here.blobs.names())


def test_an_object_that_is_gone_makes_the_stage_one_that_nobody_has(here: Machine, there: Machine) -> None:
    put(here)
    here.send()
    _, entry = make_directory(here.settings.workdir, "a")
    here.blobs.remove(object_name(str(entry.files[next(iter(FILES))]["sha256"])))
    assert taken_by(there) is None


def test_a_sending_that_was_broken_off_is_no_stage(here: Machine, there: Machine) -> None:
    """The entry comes last: a machine that goes off while it sends leaves files that nobody takes for a stage."""
    directory, entry = make_directory(here.settings.workdir, "a")
    name = next(iter(FILES))
    here.blobs.put(object_name(str(entry.files[name]["sha256"])), directory.path(name))
    assert taken_by(there) is None
    put(here)
    here.send()
    assert taken_by(there) is not None


def test_a_stage_that_was_collected_before_it_was_sent_is_forgotten(here: Machine) -> None:
    put(here)
    here.store.quarantine("split", KEY)
    here.send()
    assert here.outgoing.counts()["stages"] == 0
    assert list(here.blobs.names()) == []


def test_two_machines_that_send_one_key_with_different_files_are_not_mixed_up(
    here: Machine, there: Machine
) -> None:
    """Training is not equal to the byte everywhere: each entry lists its own objects, and the last entry stands."""
    directory, entry = make_directory(here.settings.workdir, "a")
    other = ExperimentDir(there.settings.experiments_dir, "a")
    for name in FILES:
        other.path(name).parent.mkdir(parents=True, exist_ok=True)
        other.path(name).write_bytes(b"other " + FILES[name])
    facts = {
        name: {"size": other.path(name).stat().st_size, "sha256": file_sha256(other.path(name))}
        for name in FILES
    }
    send_stage(here.blobs, "split", entry, {name: directory.path(name) for name in FILES}, here.outgoing)
    send_stage(
        there.blobs, "split", replace(entry, files=facts), {name: other.path(name) for name in FILES}, there.outgoing
    )  # fmt: skip
    third = Machine.at(there.settings.workdir.parent / "third", there.settings.store)
    taken = taken_by(third)
    assert taken is not None
    assert contents(taken) == {name: b"other " + content for name, content in FILES.items()}
    assert entry_text(entry) != b""


def _put_and_send(root: Path, number: int, url: str, start: Barrier) -> None:
    machine = Machine.at(root / f"machine-{number}", url)
    directory, entry = make_directory(machine.settings.workdir, "a")
    for turn in range(10):
        start.wait(120)
        machine.store.put("split", replace(entry, key=f"{turn:064x}"), directory)
        machine.send()
        assert machine.store.verified("split", f"{turn:064x}") is not None


@pytest.mark.parametrize("store_url", ["shared folder", "s3"], indirect=True)
def test_two_machines_that_send_the_same_stage_at_once_are_safe(store_url: str, tmp_path: Path) -> None:
    race(_put_and_send, (tmp_path, 1, store_url), (tmp_path, 2, store_url))
    third = Machine.at(tmp_path / "third", store_url)
    for turn in range(10):
        assert third.store.verified("split", f"{turn:064x}") is not None


def test_a_whole_experiment_is_taken_by_another_machine(here: Machine, there: Machine) -> None:
    """Also that nothing is computed there but the query, and the report is the same to the byte."""
    first = here.run("gb1", QUICK)
    here.send()
    second = there.run("gb1", QUICK)
    assert actions(first) == dict.fromkeys(always_made(), "computed")
    assert actions(second) == {**dict.fromkeys(always_made(), "taken"), "selection": "computed"}
    reports = [
        file_sha256(ExperimentDir(machine.settings.experiments_dir, "gb1").report_json)
        for machine in (here, there)
    ]
    assert reports[0] == reports[1]


def test_a_changed_split_takes_the_stages_before_it(here: Machine, there: Machine) -> None:
    here.run("gb1", QUICK)
    here.send()
    found = actions(there.run("other", {**QUICK, "split.seed": 5}))
    assert found == {
        "selection": "computed", "transform": "taken", "embedding": "taken", "split": "computed",
        "train": "computed", "evaluate": "computed",
    }  # fmt: skip
