"""An experiment with a structure: what is computed again when it changes, where it may lie, what the report says."""

import json
from pathlib import Path

import pytest

from proteinx_pipelines.catalog.attachments import attach
from proteinx_pipelines.errors import FlagError, PathNotAllowed
from proteinx_pipelines.execution import evidence_inputs
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.evidence.proteins import given, sequence_of, structure_text
from proteinx_pipelines_tests.execution.conftest import TEMPLATE
from proteinx_pipelines_tests.execution.test_attempt import run

FROM_EMBEDDING = {"embedding", "train", "evaluate"}


def computed(done: dict[str, str]) -> set[str]:
    return {stage for stage, action in done.items() if action == "computed"}


def write(settings: Settings, name: str = "toy.pdb", *, seed: int = 0, sequence: str = TEMPLATE) -> Path:
    path = settings.workdir / name
    path.write_text(structure_text({"A": sequence}, seed=seed))
    return path


def report(settings: Settings, name: str) -> dict[str, object]:
    path = ExperimentDir(settings.experiments_dir, name).root / "artifacts" / "report.json"
    return dict(json.loads(path.read_text()))


def test_a_changed_structure_computes_the_embedding_again_and_selects_and_splits_nothing(
    settings: Settings,
) -> None:
    run(settings, "a")
    write(settings)
    assert computed(run(settings, "a", **{"data.structure": "toy.pdb"})) == FROM_EMBEDDING
    assert computed(run(settings, "a", **{"data.structure": "toy.pdb"})) == set()
    write(settings, seed=3)  # another content under the same name
    assert computed(run(settings, "a", **{"data.structure": "toy.pdb"})) == FROM_EMBEDDING
    assert computed(run(settings, "a")) == set()  # without: everything is in the store


def test_a_structure_described_by_an_earlier_version_is_described_again_and_nothing_else_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings)
    monkeypatch.setattr(evidence_inputs, "DESCRIPTION_VERSION", "1")
    run(settings, "plain")
    run(settings, "a", **{"data.structure": "toy.pdb"})
    monkeypatch.setattr(evidence_inputs, "DESCRIPTION_VERSION", "2")
    assert computed(run(settings, "a", **{"data.structure": "toy.pdb"})) >= {"embedding"}
    assert computed(run(settings, "plain")) == set()


def test_an_attached_structure_is_used_until_a_flag_says_none(settings: Settings) -> None:
    run(settings, "a")
    file = given("structure", structure_text({"A": TEMPLATE}))
    attach(
        settings.database_path, "TOY", "structure",
        name=file.name, chain=None, sha256=file.sha256, content=file.content,
    )  # fmt: skip
    assert computed(run(settings, "a")) == FROM_EMBEDDING
    assert report(settings, "a")["data"]["evidence"]["structure"]["TOY"]["used"]  # type: ignore[index]
    # The same numbers as before it was attached.
    assert run(settings, "a", **{"data.structure": "none"})["embedding"] != "computed"


def test_a_structure_must_lie_where_messages_may_read(settings: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside.pdb"
    outside.write_text(structure_text({"A": TEMPLATE}))
    with pytest.raises(PathNotAllowed, match=r"data\.structure"):
        run(settings, "a", **{"data.structure": str(outside)})


def test_the_report_warns_of_a_structure_that_does_not_fit(settings: Settings) -> None:
    write(settings, "other.pdb", sequence=sequence_of(30, seed=4))
    run(settings, "a", **{"data.structure": "other.pdb"})
    found = report(settings, "a")
    assert [entry["code"] for entry in found["warnings"]].count("evidence") == 1  # type: ignore[index, attr-defined]
    assert not found["data"]["evidence"]["structure"]["TOY"]["used"]  # type: ignore[index]


def test_any_model_can_read_the_columns_of_a_structure(settings: Settings) -> None:
    with pytest.raises(FlagError, match=r"needs `data\.structure`"):
        run(settings, "b", **{"embedding.name": "structure"})
    write(settings)
    run(
        settings,
        "b",
        **{"embedding.name": "blosum62", "embedding.also": ["structure"], "data.structure": "toy.pdb"},
    )
    part = report(settings, "b")["data"]["embedding"]["parts"][1]  # type: ignore[index]
    assert (part["name"], part["width"]) == ("structure", 23)
    assert "structure (toy.pdb, chain A" in str(report(settings, "b")["methods"])
