"""Files kept from an earlier generation are its own, and complete."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.execution import generations
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.opened_generation import open_named_generation
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.services.diff import compare
from proteinx_pipelines.services.lineage import lineage
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.documents import experiment_document
from proteinx_pipelines_tests.execution.test_attempt import QUICK


def by_hand(settings: Settings, **changes: Any) -> None:
    run_local_experiment(settings, "a", parse_flags({**QUICK, **changes}))


def test_a_generation_that_failed_has_no_report(settings: Settings) -> None:
    """The report of the one before it lies there still, and was shown, compared and kept as its own."""
    by_hand(settings)
    missing = {"split.method": "file", "split.path": str(settings.workdir / "x.csv"), "split.column": "part"}
    with pytest.raises(BadSplitFile):
        by_hand(settings, **missing)
    first, second = open_named_generation(settings, "a@1"), open_named_generation(settings, "a")
    assert first.report is not None
    assert (second.generation, second.report) == (2, None)
    assert {metric.change for metric in compare(first, second).metrics} == {None}
    assert lineage(second).metrics == {}

    by_hand(settings, **{"split.seed": 3})
    assert open_named_generation(settings, "a").report is not None
    assert open_named_generation(settings, "a@2").report is None
    assert open_named_generation(settings, "a@1").report == first.report
    kept = settings.experiments_dir / "a" / "generations"
    assert (kept / "1" / "artifacts" / "predictions.parquet").is_file()
    assert not (kept / "2" / "artifacts").exists()


@pytest.fixture
def directory(tmp_path: Path) -> ExperimentDir:
    """A generation that has succeeded."""
    found = ExperimentDir(tmp_path / "experiments", "a")
    write_json(found.document, experiment_document(generation=1, status="SUCCEEDED"))
    for path in (found.flags, found.pipeline, found.report_json, found.metrics):
        write_json(path, {})
    return found


def kept(directory: ExperimentDir) -> list[str]:
    root = directory.root / "generations"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


WHOLE = [
    "1/artifacts/report.json", "1/config/flags.json", "1/config/pipeline.json", "1/experiment.json",
    "1/metrics/metrics.jsonl",
]  # fmt: skip


def test_half_of_a_generation_is_never_taken_for_it(
    directory: ExperimentDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that was begun counted as kept for good."""

    class Killed(BaseException):
        pass

    def killed(source: Path, target: Path) -> None:
        if source == directory.pipeline:
            raise Killed
        place(source, target)

    place = generations.place
    with monkeypatch.context() as dying:
        dying.setattr(generations, "place", killed)
        dying.setattr(shutil, "rmtree", lambda *_, **__: None)  # the dead clean nothing up
        with pytest.raises(Killed):
            archive_generation(directory, 2)
    assert not directory.generation_dir(1).exists()
    archive_generation(directory, 2)
    assert kept(directory) == WHOLE


def test_two_processes_that_keep_the_same_generation_are_both_content(
    directory: ExperimentDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent finishes a cancelled generation while the sensor plans it."""
    place, others = generations.place, [True]

    def slow(source: Path, target: Path) -> None:
        if others.pop() if others else False:
            archive_generation(directory, 2)
        place(source, target)

    monkeypatch.setattr(generations, "place", slow)
    archive_generation(directory, 2)
    assert kept(directory) == WHOLE
