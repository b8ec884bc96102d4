from pathlib import Path

import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench.flip_gb1 import find_table, reference, score_split
from proteinx_pipelines.cli.bench import bench
from proteinx_pipelines.errors import MissingFile

ASSAYS = Path(__file__).parents[2] / "../shared/data/assays"
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not ASSAYS.is_dir(), reason="the shared data folder is not there: FLIP is skipped"),
]


def test_without_the_table_the_error_says_what_to_make(tmp_path):
    with pytest.raises(MissingFile, match="four_mutations_full_data"):
        find_table(tmp_path)


def test_a_model_without_its_own_reference_is_judged_by_ridge():
    assert reference("mlp", "two_vs_rest").model == "ridge"
    assert reference("gp", "two_vs_rest").spearman == 0.658
    assert reference("gp", "one_vs_rest") is None


@pytest.mark.parametrize(
    "split", [pytest.param("one_vs_rest", marks=needs_data), pytest.param("sampled", marks=needs_data)]
)
def test_ridge_equals_flips_own_recipe(split):
    found = score_split(find_table(ASSAYS), split, "ridge", [])
    assert found.pooled == pytest.approx(reference("ridge", split).spearman, abs=0.005)


@pytest.mark.parametrize("alpha", [pytest.param(1e9, marks=needs_data)])
def test_the_command_fails_where_a_model_is_worse(alpha):
    words = ["flip-gb1", "--data", str(ASSAYS), "--split", "three_vs_rest", f"model.alpha={alpha}"]
    result = CliRunner().invoke(bench, words)
    assert result.exit_code == 1
    assert "three_vs_rest" in result.output


@pytest.mark.parametrize(
    ("split", "floor"),
    [
        pytest.param("two_vs_rest", 0.65, marks=needs_data),
        pytest.param("three_vs_rest", 0.82, marks=needs_data),
    ],
)
@pytest.mark.parametrize("kernel", ["rbf", "mutation"])
@pytest.mark.slow
def test_a_gaussian_process_reaches_the_published_ones_on_four_sites(split, floor, kernel):
    found = score_split(find_table(ASSAYS), split, "gp", [f"model.kernel={kernel}"])
    assert found.pooled >= floor
