"""Files of ended experiments in the shared store: whole by their own index, sent file by file, in the background."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import BackendError, CorruptArtifact, UnknownExperiment
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir
from proteinx_pipelines.files.shared.experiments import get_files, sent_document, sent_generations
from proteinx_pipelines.files.shared.names import document_name, generation_folder
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.machines import Machine


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "here", store_url)


def run(machine: Machine, **changes: Any) -> ExperimentDir:
    return run_local_experiment(machine.settings, "gb1", parse_flags({**QUICK, **changes})).directory


def test_every_file_is_in_the_store_as_the_index_says(here: Machine, tmp_path: Path) -> None:
    directory = run(here)
    assert sent_generations(here.blobs, "gb1") == []
    here.send()
    assert sent_generations(here.blobs, "gb1") == [1]
    document = sent_document(here.blobs, "gb1")
    assert document.artifacts == read_experiment(directory).artifacts
    assert document.status == "SUCCEEDED"
    fetched = list(get_files(here.blobs, document, tmp_path / "fetched"))
    assert set(fetched) == set(document.artifacts)
    for name, fact in document.artifacts.items():
        assert file_sha256(tmp_path / "fetched" / name) == fact.sha256
    assert not here.outgoing.experiments_dir.exists() or list(here.outgoing.experiments()) == []
    below = generation_folder("gb1", 1)
    assert {name.removeprefix(f"{below}/") for name in here.blobs.names(below)} == {
        *document.artifacts,
        DOCUMENT,
    }


def test_a_generation_that_was_replaced_before_it_was_sent_is_sent_as_it_ended(
    here: Machine, tmp_path: Path
) -> None:
    """The next generation replaces files and appends to logs while the upload of the one before still waits."""
    first = {name: fact.sha256 for name, fact in read_experiment(run(here)).artifacts.items()}
    second = run(here, **{"split.seed": 9})
    here.send()
    assert sent_generations(here.blobs, "gb1") == [1, 2]
    for generation, wanted in ((1, first), (2, None)):
        document = sent_document(here.blobs, "gb1", generation)
        found = {name: fact.sha256 for name, fact in document.artifacts.items()}
        assert found == (
            wanted or {name: fact.sha256 for name, fact in read_experiment(second).artifacts.items()}
        )
        list(get_files(here.blobs, document, tmp_path / str(generation)))


def before_each(here: Machine, monkeypatch: pytest.MonkeyPatch, do: Callable[[str, Path], None]) -> None:
    """Do something before each file of an experiment is put into the store, with its name there and its place here."""
    kind = type(here.blobs)
    put = kind.put

    def after_it(self: Any, name: str, source: Path) -> None:
        if name.startswith("experiments/"):
            do(name, source)
        put(self, name, source)

    monkeypatch.setattr(kind, "put", after_it)


def test_an_upload_that_was_broken_off_continues_file_by_file(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = run(here)
    sent, is_away = list[str](), True

    def note(name: str, _source: Path) -> None:
        if is_away and len(sent) == 5:
            raise BackendError("The store is away.")
        sent.append(name)

    before_each(here, monkeypatch, note)
    with pytest.raises(BackendError):
        here.send()
    assert sent_generations(here.blobs, "gb1") == []
    before, is_away = list(sent), False
    here.send()
    assert len(sent) == len(set(sent)) == len(read_experiment(directory).artifacts) + 1
    assert sent[: len(before)] == before
    assert sent[-1] == document_name("gb1", 1)


@pytest.mark.parametrize("at", [0, 5])
def test_two_senders_of_one_workdir_share_the_files_and_neither_fails(
    here: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """`proteinx store push` ended with a trace where the node's agent had sent the rest meanwhile."""
    directory = run(here)
    sent = list[str]()

    def overtake(name: str, source: Path) -> None:
        sent.append(name)
        if len(sent) == at + 1:
            here.send()  # the other one, from here to the end
        if not source.is_file():
            raise FileNotFoundError(source)

    before_each(here, monkeypatch, overtake)
    here.send()
    document = sent_document(here.blobs, "gb1")
    assert document.artifacts == read_experiment(directory).artifacts
    assert set(get_files(here.blobs, document, tmp_path / "fetched")) == set(document.artifacts)
    assert list(here.outgoing.experiments()) == []


def test_a_file_with_other_bytes_than_the_index_says_is_refused(here: Machine, tmp_path: Path) -> None:
    run(here)
    here.send()
    document = sent_document(here.blobs, "gb1")
    name = f"{generation_folder('gb1', 1)}/artifacts/report.json"
    here.blobs.write(name, here.blobs.read(name)[:-1] + b"x")
    with pytest.raises(CorruptArtifact, match=r"report\.json"):
        list(get_files(here.blobs, document, tmp_path / "fetched"))
    assert not (tmp_path / "fetched" / "artifacts" / "report.json").exists()


def test_a_failed_experiment_is_sent_too_and_an_unknown_one_is_named(here: Machine) -> None:
    with pytest.raises(Exception, match="nothing like it"):
        run(here, **{"data.where": [{"column": "mutant", "op": "=", "value": "nothing like it"}]})
    here.send()
    assert sent_document(here.blobs, "gb1").status == "FAILED"
    with pytest.raises(UnknownExperiment, match="generations 1"):
        sent_document(here.blobs, "gb1", 7)
    with pytest.raises(UnknownExperiment, match="no experiment of this id"):
        sent_document(here.blobs, "other")
