"""Eviction from the shared store: the least recently used go, and only what can be computed again."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.execution.shared_garbage import (
    Evictable,
    SharedContents,
    evict,
    evict_beyond,
    shared_contents,
    to_evict,
)
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.names import stage_name
from proteinx_pipelines.files.shared.pushing import push_file
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.machines import Machine, actions


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine.at(tmp_path / "machine", (tmp_path / "shared").as_uri())


def age(machine: Machine, name: str, seconds: float) -> None:
    """Make a blob of the shared folder look as if it had been written some time ago."""
    path = machine.settings.workdir.parent / "shared" / name
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def names(blobs: BlobStore) -> set[str]:
    return set(blobs.names())


def test_the_least_recently_used_go_until_the_rest_fits(machine: Machine) -> None:
    entries = machine.run("a", QUICK)
    machine.send()
    for number, stage in enumerate(reversed(always_made())):
        age(machine, stage_name(stage, entries[stage].key), 1_000 - 100 * number)
    contents = shared_contents(machine.blobs)
    assert contents.reusable_bytes == sum(
        size for name, size in contents.sizes.items() if name.startswith(("objects/", "stages/"))
    )
    gone = to_evict(contents, contents.reusable_bytes - 1)
    assert [each.what.split()[0] for each in gone] == ["evaluate"]
    everything = to_evict(contents, 0)
    assert len(everything) == len(always_made())
    evict(machine.blobs, contents, everything)
    assert names(machine.blobs) == set()


def test_a_stage_that_is_taken_over_is_the_last_to_go(machine: Machine, tmp_path: Path) -> None:
    first = machine.run("a", QUICK)
    machine.run("b", {**QUICK, "split.seed": 3})
    machine.send()
    for name in names(machine.blobs):
        age(machine, name, 10_000)
    other = Machine.at(tmp_path / "other", machine.settings.store)
    assert actions(other.run("a", QUICK))["train"] == "taken"
    other.send()
    contents = shared_contents(machine.blobs)
    evict_beyond(machine.blobs, int(0.6 * contents.reusable_bytes))
    left = names(machine.blobs)
    taken = {stage: entry for stage, entry in first.items() if stage != "selection"}
    assert {stage_name(stage, entry.key) for stage, entry in taken.items()} <= left


def test_files_that_people_put_there_and_experiments_stay(machine: Machine, tmp_path: Path) -> None:
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.flags.parsing import parse_flags

    finished = run_local_experiment(machine.settings, "a", parse_flags(QUICK))
    machine.send()
    predictions = finished.directory.predictions  # the same bytes as an object of the stage `evaluate`
    reference = push_file(machine.blobs, predictions)
    before = {name for name in names(machine.blobs) if name.startswith("experiments/")}
    evict_beyond(machine.blobs, 0)
    digest = reference.rpartition("/")[2]
    assert names(machine.blobs) == {*before, f"objects/{digest}", f"objects/{digest}.json"}


def test_an_object_that_a_remaining_stage_lists_stays() -> None:
    contents = SharedContents(
        {"stages/a": 1, "stages/b": 1, "objects/x": 10, "objects/y": 10},
        [Evictable("a", 1.0, ("stages/a",), ("objects/x",)),
         Evictable("b", 2.0, ("stages/b",), ("objects/x", "objects/y"))],
    )  # fmt: skip
    removed: list[str] = []

    class Blobs:
        def remove(self, name: str) -> None:
            removed.append(name)

    gone = to_evict(contents, 21)
    assert [each.what for each in gone] == ["a"]
    assert evict(Blobs(), contents, gone) == 1  # type: ignore[arg-type]
    assert removed == ["stages/a"]


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.lists(st.integers(0, 6), max_size=4, unique=True)), max_size=12
    ),
    st.integers(0, 300),
)
def test_what_stays_fits_whatever_is_shared(entries: list[tuple[int, list[int]]], limit: int) -> None:
    sizes = {f"objects/{k}": 10 * k for k in range(7)} | {f"stages/{k}": 1 for k in range(len(entries))}
    evictable = [
        Evictable(str(k), used_at, (f"stages/{k}",), tuple(f"objects/{each}" for each in objects))
        for k, (used_at, objects) in enumerate(entries)
    ]
    gone = to_evict(SharedContents(dict(sizes), evictable), limit)
    stays = [each for each in evictable if each not in gone]
    assert SharedContents(sizes, stays).reusable_bytes <= limit
    assert all(one.used_at <= two.used_at for one in gone for two in stays)
