"""The design of a whole experiment: made when asked, kept where only the choice changes, the same elsewhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from proteinx_pipelines import demo
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import BadVariants, CorruptArtifact, FlagError, MissingArtifact, UnknownSource
from proteinx_pipelines.execution.designing import Asked, not_taken_over
from proteinx_pipelines.execution.exported_models import predict_exported
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.scripting import import_file, run_experiment
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.stages.design.candidates import candidates_of
from proteinx_pipelines.stages.design.final_model import load_final, verify_final

SOURCE = "GB1_Nisthal_2019"
DATA = Path(demo.__file__).with_name("data") / f"{SOURCE}.csv.gz"
QUICK = {"data.source": SOURCE, "model.name": "ridge", "evaluate.bootstrap": 0, "split.folds": 3}
DESIGN = {**QUICK, "design.library": "doubles", "design.best": 40, "design.n": 20, "design.controls": 3}

pytestmark = pytest.mark.slow


def run(folder: Path, flags: dict, name: str = "gb1"):
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder)})
    return run_local_experiment(settings, name, parse_flags(flags), payload_ref=str(DATA)).directory


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("designed")
    return run(folder, DESIGN)


def test_the_plate_has_controls_then_variants_that_were_not_measured_each_with_a_reason(designed) -> None:
    rows = pq.read_table(designed.design_dir / "proposals.parquet").to_pylist()
    assert [row["rank"] for row in rows] == [0, 0, 0, *range(1, 21)]
    assert [row["well"] for row in rows[:2]] == ["A1", "A2"]
    assert rows[0]["mutant"] == "WT"
    measured = set(open_experiment(designed.root).variants.mutant)
    chosen = [row["mutant"] for row in rows[3:]]
    assert not set(chosen) & measured
    assert all(
        row["reason"].startswith("predicted") and row["low"] < row["prediction"] < row["high"]
        for row in rows[3:]
    )
    report = read_json(designed.design_dir / "report.json")
    assert report["n_proposed"] == 20
    assert 0 <= report["stability"] <= 1
    # A ridge has no seed, and residues have no precision to lose.
    by_kind = report["stability_by"]
    assert (by_kind["seeds"], by_kind["precision"]) == (None, None)
    assert 0 < by_kind["folds"] <= 1
    assert 0 < by_kind["rows"] <= 1
    assert sorted(path.name for path in (designed.final_model_dir / "judges").iterdir()) == [
        "rows_1",
        "rows_2",
    ]
    page = designed.report_html.read_text()
    for words in (
        "What to make next",
        "distinct mutations at",
        "by models of the folds",
        "What the model does not know",
    ):
        assert words in page
    assert report["diversity"]["least_distance"] >= 1
    assert report["unknown"]["mutations"] == 56 * 19


def test_a_changed_acquisition_chooses_again_from_the_same_predictions(designed, tmp_path: Path) -> None:
    shutil.copytree(designed.root.parent.parent, tmp_path / "w")
    predictions = (designed.design_dir / "predictions.parquet").read_bytes()
    directory = run(tmp_path / "w", {**DESIGN, "design.acquisition": "ucb", "design.n": 5})
    actions = {name: entry.action for name, entry in read_pipeline(directory.pipeline).stages.items()}
    assert [name for name, action in actions.items() if action == "computed"] == ["design"]
    events = "".join(path.read_text() for path in directory.events_dir.glob("g2-*.jsonl"))
    assert "library_kept" in events
    assert "model_fitted" not in events
    assert (directory.design_dir / "predictions.parquet").read_bytes() == predictions
    assert pq.read_table(directory.design_dir / "proposals.parquet").num_rows == 8
    directory = run(tmp_path / "w", {**DESIGN, "design.best": 30})
    assert "model_fitted" in "".join(path.read_text() for path in directory.events_dir.glob("g3-*.jsonl"))


def test_what_no_flag_tells_makes_another_library(tmp_path: Path) -> None:
    """An edited file of variants, and other held-out predictions, ran the stage again: it took over the old library."""
    given = tmp_path / "given.csv"
    given.write_text("mutant\nA24C:D40G\nA20C:D40G\n")
    flags = {**QUICK, "design.library": "file", "design.path": str(given), "design.n": 5}

    def made(**changed: object) -> tuple[list[str], dict]:
        directory = run(tmp_path / "w", {**flags, **changed})
        table = pq.read_table(directory.design_dir / "predictions.parquet")
        return table["mutant"].to_pylist(), read_json(directory.final_model_dir / "intervals.json")

    assert made()[0] == ["A24C:D40G", "A20C:D40G"]
    given.write_text("mutant\nA24C:D40G\nA20D:D40G\n")
    edited = made()
    assert edited[0] == ["A24C:D40G", "A20D:D40G"]
    again = made(**{"split.folds": 4})
    assert again[0] == edited[0]
    assert (again[1]["factor"], again[1]["split"]) != (edited[1]["factor"], edited[1]["split"])


def test_a_copy_of_the_model_predicts_the_same_bits_and_a_changed_one_is_refused(
    designed, tmp_path: Path
) -> None:
    shutil.copytree(designed.final_model_dir, tmp_path / "copy")
    asked = candidates_of(
        SOURCE, load_final(tmp_path / "copy").templates[SOURCE], ["WT", "V39L", "V39L:D40G", "A20P"]
    )
    for first, second in zip(
        load_final(designed.final_model_dir).predict(asked),
        load_final(tmp_path / "copy").predict(asked),
        strict=True,
    ):
        assert first.tobytes() == second.tobytes()
    assert not any(path.suffix in (".pkl", ".pt", ".pickle") for path in (tmp_path / "copy").rglob("*"))
    (tmp_path / "copy" / "representation.json").write_text("{}")
    with pytest.raises(CorruptArtifact, match=r"representation\.json missing or changed"):
        verify_final(tmp_path / "copy")
    with pytest.raises(MissingArtifact, match="holds no exported model"):
        verify_final(tmp_path)


def test_the_folder_of_a_model_predicts_where_its_experiment_is_not(designed, tmp_path: Path) -> None:
    """The folder was all that a colleague got, and no command took it."""
    folder = shutil.copytree(designed.final_model_dir, tmp_path / "model")
    asked = ["V39L", "v39l/D40G", "WT", "A20P"]
    words = ["predict", str(folder), "--mutants", ",".join(asked), "--json"]
    run = CliRunner().invoke(main, words, env={"PROTEINX_WORKDIR": str(tmp_path / "empty")})
    assert run.exit_code == 0, run.output
    rows = json.loads(run.stdout)
    known = open_experiment(designed.root).predict(asked)
    for name in ("mutant", "prediction", "deviation", "low", "high", "mut_num"):
        assert [row[name] for row in rows] == known[name].tolist()
    assert rows[2]["p_better_than_wild_type"] == pytest.approx(0.5)
    assert not {"nearest", "p_better_than_best"} & rows[0].keys()
    assert predict_exported(folder, Asked(singles=True)).num_rows > 900
    with pytest.raises(BadVariants, match="'V39X' puts in X"):
        predict_exported(folder, Asked(mutants=["V39X"]))
    with pytest.raises(FlagError, match=r"`--source` is 'x'; the model was trained on GB1_Nisthal_2019"):
        predict_exported(folder, Asked(mutants=["V39L"]), source="x")


def test_a_finished_experiment_without_a_design_answers_too_and_alike(designed, tmp_path: Path) -> None:
    directory = run(tmp_path, QUICK)
    names = ["V39L", "T53A:D40G", "wt"]
    late, early = (open_experiment(root).predict(names) for root in (directory.root, designed.root))
    assert late.mutant.tolist() == ["V39L", "D40G:T53A", "WT"]
    assert np.array_equal(late.prediction, early.prediction)
    assert late.nearest[0].startswith("V39L")
    assert "more mutations" in late.remarks[1]
    proposed = open_experiment(directory.root).propose(n=5, library="singles", positions=[39, 40])
    assert set(proposed.mutant.str[1:3]) <= {"39", "40"}
    of_folds = open_experiment(directory.root).propose(
        n=5, positions=[39, 40], final="folds"
    )  # it was ignored
    assert not np.isin(of_folds.prediction, proposed.prediction).any()
    with pytest.warns(UserWarning, match=r"`design\.beta` is read only with `design\.acquisition` ucb"):
        open_experiment(directory.root).propose(n=5, positions=[39, 40], beta=3.0)


@pytest.mark.parametrize("name", ["scales", "substitution", "blosum62"])
def test_new_sequences_have_the_columns_that_the_model_was_trained_on(name: str, tmp_path: Path) -> None:
    """Columns stand for the positions that vary: those of a library would be others."""
    directory = run(tmp_path, {**QUICK, "embedding.name": name})
    experiment = open_experiment(directory.root)
    measured = experiment.variants[experiment.variants.mutant != "WT"].mutant[:5].tolist()
    model, rows = load_model_of(directory), np.arange(5)
    by_rows = model.predict(experiment.embedding, np.flatnonzero(experiment.variants.mutant.isin(measured)))
    by_name = experiment.predict(
        experiment.variants.mutant[np.flatnonzero(experiment.variants.mutant.isin(measured))].tolist()
    )
    assert by_name.prediction.to_numpy()[rows] == pytest.approx(by_rows[rows], rel=1e-5)


def load_model_of(directory):
    open_experiment(directory.root).predict(["WT"])  # makes it
    return load_final(directory.final_model_dir).model


def test_all_four_ways_to_be_unstable_are_judged(tmp_path: Path) -> None:
    """Vectors have a precision, and the inner folds of `ridge_cv` a seed."""
    flags = {
        **QUICK,
        "model.name": "forest",
        "embedding.name": "scales",
        "design.library": "singles",
        "design.n": 10,
    }
    report = read_json(run(tmp_path, flags).design_dir / "report.json")
    assert set(report["stability_by"]) == {"folds", "seeds", "rows", "precision"}
    assert all(0 < share <= 1 for share in report["stability_by"].values())
    assert report["stability_by"]["precision"] > report["stability_by"]["rows"]


def test_what_cannot_be_predicted_is_said(tmp_path: Path) -> None:
    directory = run(tmp_path, QUICK)
    with pytest.raises(Exception, match=r"'V39X' puts in X.*'Q39L'"):
        open_experiment(directory.root).predict(["V39X", "Q39L", "V39L"])
    experiment = open_experiment(directory.root)
    unknown = experiment.variants.sequence[0][:-1] + "X"
    with pytest.raises(
        BadVariants, match=r"puts in X; one of ACDEF.*: a sequence of 20 residues; the template has 56"
    ):
        experiment.predict([unknown, "A" * 20])
    assert experiment.predict("V39L").mutant.tolist() == ["V39L"]  # one text, no letters
    with pytest.raises(FlagError, match=r"positions 99 are not in GB1_Nisthal_2019"):
        open_experiment(directory.root).propose(positions=[99])


def test_a_plate_has_nothing_that_another_source_of_the_catalog_has_measured(tmp_path: Path) -> None:
    """A second assay on another scale; what it measures later recomputes the design alone."""
    rng, letters = np.random.default_rng(0), "ACDEFGHIKLMNPQRSTVWY"
    every = [f"A{at}{to}" for at in range(1, 7) for to in letters if to != "A"]
    known, other = every[::3], every[1::3]

    def measured(name: str, mutants: list[str], *, replace: bool = False) -> None:
        rows = [
            f"{mutant},{score:.3f}"
            for mutant, score in zip(mutants, rng.normal(size=len(mutants)), strict=True)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["mutant,DMS_score", *rows]))
        import_file(tmp_path / f"{name}.csv", workdir=tmp_path / "w", template="AAAAAA", replace=replace)

    flags = {**QUICK, "data.source": "own", "design.library": "singles", "design.exclude_sources": "other"}
    measured("own", known)
    with pytest.raises(UnknownSource, match=r"`design\.exclude_sources`: 'other' is not in"):
        run_experiment("e", flags, workdir=tmp_path / "w")
    measured("other", other)

    def proposed() -> tuple[set[str], list[str]]:
        directory = run_experiment("e", flags, workdir=tmp_path / "w").directory
        stages = read_pipeline(directory.pipeline).stages
        table = pq.read_table(directory.design_dir / "proposals.parquet")
        return set(table["mutant"].to_pylist()), [
            name for name, entry in stages.items() if entry.action == "computed"
        ]

    left = set(every) - {*known, *other}
    assert proposed()[0] == left
    assert proposed()[1] == []
    page = ExperimentDir(tmp_path / "w" / "experiments", "e").report_html.read_text()
    assert "What other measured is not proposed." in page
    measured("other", [*other, "A1C:A2C", sorted(left)[0]], replace=True)
    assert proposed() == (left - {sorted(left)[0]}, ["design"])
    directory = ExperimentDir(tmp_path / "w" / "experiments", "e")
    plain = DesignFlags(library="singles")
    assert not_taken_over(directory, plain).endswith(": `design.exclude_sources`.")
    for written in (("other",), ()):  # what was written is no surprise
        assert not_taken_over(directory, DesignFlags(library="singles", exclude_sources=written)) == ""
    asked = open_experiment("e", tmp_path / "w").propose(exclude_sources=["other"])
    assert set(asked.mutant) == left - {sorted(left)[0]}
    assert set(open_experiment("e", tmp_path / "w").propose().mutant) == set(every) - set(known)
