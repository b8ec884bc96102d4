"""Standard errors from a file to the report: what a model that knows them predicts, and what is said of it."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.settings import load_settings

LENGTH, EACH = 40, 8


@pytest.fixture(scope="module")
def assay(tmp_path_factory):
    """Single mutants whose site and residue have effects; half of them are measured badly. With the true values."""
    folder, random = tmp_path_factory.mktemp("errors"), np.random.default_rng(2)
    template = "".join(random.choice(list(AMINO_ACIDS), LENGTH))
    of_site, of_residue = random.normal(size=LENGTH), random.normal(size=20)
    truth, lines = {}, ["mutant,DMS_score,se"]
    for site, letter in enumerate(template):
        for new in random.choice([each for each in AMINO_ACIDS if each != letter], EACH, replace=False):
            mutant, error = f"{letter}{site + 1}{new}", random.choice([0.2, 2.5])
            truth[mutant] = 1.5 * of_site[site] + 0.5 * of_residue[AMINO_ACIDS.index(new)]
            lines.append(f"{mutant},{truth[mutant] + error * random.normal()},{error}")
    (folder / "toy.csv").write_text("\n".join(lines))
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder / "w")})
    settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    import_file(settings.database_path, folder / "toy.csv", template=template)
    return settings, truth


def run(settings, name: str, **flags) -> ExperimentDir:
    """One split in two; `model.name` is `gp` unless it is given."""
    plain = {
        "data.source": "toy",
        "model.name": "gp",
        "split.folds": 2,
        "evaluate.bootstrap": 0,
        "evaluate.plots": False,
    }
    return run_local_experiment(settings, name, parse_flags({**plain, **flags})).directory


def error(directory: ExperimentDir, truth) -> float:
    """Mean squared difference of the predictions from the true values."""
    rows = pq.read_table(directory.path("artifacts/predictions.parquet")).to_pylist()
    return float(
        np.mean([(row["prediction"] - truth[row["mutant"]]) ** 2 for row in rows if row["part"] == "test"])
    )


def test_errors_lower_the_test_error_and_are_told(assay):
    settings, truth = assay
    knows, does_not = run(settings, "knows"), run(settings, "does-not", **{"data.error": "none"})
    assert error(knows, truth) < 0.8 * error(does_not, truth)
    folds = read_json(knows.path("artifacts/model/training.json"))["info"]["folds"]
    assert all(fold["noise_by_errors"]["share"] >= 0.5 for fold in folds)
    assert folds[0]["noise_by_errors"]["known"] == LENGTH * EACH // 2
    report = read_json(knows.path("artifacts/report.json"))
    assert report["data"]["errors"]["known"] == LENGTH * EACH
    assert 0.2 <= report["data"]["errors"]["median"] <= 2.5
    assert report["experiment"]["query"]["errors"]["toy"] == {
        "column": "se", "kind": "standard error", "impossible": 0, "known": LENGTH * EACH,
    }  # fmt: skip
    assert "follows the standard error of its score (known of 160 rows)" in report["methods"]
    page = knows.path("artifacts/report.html").read_text(encoding="utf-8")
    assert "Errors of the scores" in page
    without = read_json(does_not.path("artifacts/report.json"))
    assert "errors" not in without["data"]
    assert "standard error" not in without["methods"]


def test_errors_that_were_asked_for_and_not_used_are_told(assay):
    settings, _ = assay
    for name, flags, because in (
        ("ridge", {"model.name": "ridge", "data.error": "se"}, "ridge did not weigh its training rows"),
        ("exp", {"model.name": "ridge", "transform.target": "exp"}, "trained on transformed scores"),
    ):
        report = read_json(run(settings, name, **flags).path("artifacts/report.json"))
        (told,) = [each["message"] for each in report["warnings"] if each["code"] == "errors_unused"]
        assert because in told
