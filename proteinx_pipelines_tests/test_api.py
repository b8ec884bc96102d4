"""The promised names: they are there, they load late, their page is true, and the examples use no others."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import proteinx_pipelines
from proteinx_pipelines import PROMISED, import_file, open_experiment, rank, run_experiment
from proteinx_pipelines.errors import FlagError, UnknownExperiment
from proteinx_pipelines_tests.api_page import page

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO = REPOSITORY / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
SMALL = {
    "data": {"source": "GB1", "limit": 60},
    "evaluate": {"plots": False, "bootstrap": 0},
    "split": {"folds": 3},
}


def test_the_page_in_the_repository_is_the_generated_one():
    """If not: `python -m proteinx_pipelines_tests.api_page > docs/api.md`."""
    assert (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8") == page()


def test_every_promised_name_is_there_and_listed():
    assert sorted(PROMISED) == list(PROMISED) == proteinx_pipelines.__all__
    assert set(PROMISED) <= set(dir(proteinx_pipelines))
    for name in PROMISED:
        assert inspect.getdoc(getattr(proteinx_pipelines, name)), name


def test_a_flag_set_is_converted_by_a_promised_function():
    """It was there under an internal name alone."""
    assert proteinx_pipelines.convert_flags({"data": {"source": "GB1"}}, "kv") == 'data.source=["GB1"]\n'


def test_a_name_that_is_not_promised_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'open_experiments'"):
        proteinx_pipelines.open_experiments  # noqa: B018


def test_importing_the_package_loads_nothing_of_it():
    code = "import proteinx_pipelines, sys\nprint([name for name in sys.modules if 'proteinx_pipelines.' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_the_client_does_not_have_names_the_distribution_that_has_it(tmp_path):
    (tmp_path / "proteinx_pipelines").mkdir()
    text = (REPOSITORY / "proteinx_pipelines" / "__init__.py").read_text(encoding="utf-8")
    (tmp_path / "proteinx_pipelines" / "__init__.py").write_text(text, encoding="utf-8")
    # -S: an editable install would find the rest of the package all the same
    code = "import sys; sys.path.insert(0, '.')\nfrom proteinx_pipelines import run_experiment"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "run_experiment is not part of proteinx-client" in done.stderr


@pytest.mark.parametrize("path", ["examples/minimal.py", "examples/plugin_metric/proteinx_example_metric.py"])
def test_the_examples_use_promised_names_alone(path):
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("proteinx_pipelines"):
            assert node.module == "proteinx_pipelines", node.module
            used |= {alias.name for alias in node.names}
    assert used
    assert used <= set(PROMISED)


def test_data_come_in_run_are_opened_and_ranked(tmp_path):
    report = import_file(DEMO, workdir=tmp_path, name="GB1")
    assert (report.source, report.rows) == ("GB1", 813)
    seen = []
    first = run_experiment("first", SMALL, workdir=tmp_path, on_progress=lambda stage, *_: seen.append(stage))
    assert first.status == "SUCCEEDED"
    assert seen[0] == "selection"
    again = run_experiment("first", SMALL, workdir=tmp_path)
    assert set(again.document["stages"].values()) == {"reused"}
    run_experiment("second", "\n".join(["data.source=GB1", "data.limit=60", "split.folds=3", "model.alpha=100",
                                        "evaluate.plots=false", "evaluate.bootstrap=0"]), workdir=tmp_path)  # fmt: skip
    board = rank(["first", open_experiment("second", tmp_path)], workdir=tmp_path, resamples=50)
    assert {row.experiment_id for row in board.rows} == {"first", "second"}
    assert board.n_common == 60


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(FlagError, match="unknown metric 'spearmn'"):
        run_experiment("a", {**SMALL, "evaluate.metrics": ["spearmn"]}, workdir=tmp_path)
    with pytest.raises(UnknownExperiment):
        rank(["a", "b"], workdir=tmp_path)
    assert list(tmp_path.iterdir()) == []
