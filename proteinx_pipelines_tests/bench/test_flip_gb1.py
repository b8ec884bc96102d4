from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench import flip_gb1
from proteinx_pipelines.bench.flip_gb1 import Row, find_table, reference, score_split
from proteinx_pipelines.bench.protocol import OutOfFold
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
    assert reference("mlp", "three_vs_rest").model == reference("boosting", "two_vs_rest").model == "ridge"
    assert reference("mlp", "two_vs_rest") is None  # networks are known to stay behind ridge there
    assert reference("gp", "two_vs_rest").spearman == 0.658
    assert reference("gp", "one_vs_rest") is None


def row(split: str, model: str, *, prediction: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)) -> Row:
    """A row whose Spearman is that of `prediction` with 0, 1, 2, 3."""
    found = OutOfFold(
        target=np.arange(4.0), prediction=np.array(prediction), deviation=None, fold=np.zeros(4, int),
        level=np.zeros(4), spread=np.full(4, 2.0), seconds=0.0, dropped={}, n_unused=0,
    )  # fmt: skip
    return Row(model, split, found, reference(model, split))


def test_only_what_is_more_than_the_tolerance_below_is_not_within():
    assert row("three_vs_rest", "ridge").difference == pytest.approx(1 - 0.755)
    assert row("three_vs_rest", "ridge").is_within
    below = row("three_vs_rest", "ridge", prediction=(0.0, 2.0, 1.0, 2.0))  # 0.632
    assert not below.is_within
    assert below.mse == pytest.approx(0.75)  # in the unit of the target
    assert not row("three_vs_rest", "ridge", prediction=(1.0, 1.0, 1.0, 1.0)).is_within  # no order at all
    assert row("one_vs_rest", "gp", prediction=(3.0, 2.0, 1.0, 0.0)).is_within  # nobody has published one


def test_every_model_that_was_published_stands_beside_its_value(tmp_path, monkeypatch):
    def scored(_file: Path, split: str, model: str, _pairs: object) -> Row:
        is_worse = (model, split) == ("cnn", "three_vs_rest")
        return row(split, model, prediction=(3.0, 2.0, 1.0, 0.0) if is_worse else (0.0, 1.0, 2.0, 3.0))

    monkeypatch.setattr(flip_gb1, "score_split", scored)
    (tmp_path / flip_gb1.FILE).touch()
    words = ["flip-gb1", "--data", str(tmp_path)]
    result = CliRunner().invoke(bench, words)
    rows = [line.split()[:2] for line in result.stdout.splitlines() if "vs_" in line or "sampled" in line]
    assert rows == [[model, split] for model in ("ridge", "gp", "cnn") for split in flip_gb1.SPLITS]
    assert result.exit_code == 1
    assert "below the published value: cnn on three_vs_rest." in result.stderr
    assert CliRunner().invoke(bench, [*words, "--model", "ridge", "--model", "gp"]).exit_code == 0


@pytest.mark.parametrize(
    "split", [pytest.param("one_vs_rest", marks=needs_data), pytest.param("sampled", marks=needs_data)]
)
def test_ridge_equals_flips_own_recipe(split):
    found = score_split(find_table(ASSAYS), split, "ridge", [])
    assert found.is_within
    assert found.found.pooled == pytest.approx(reference("ridge", split).spearman, abs=0.005)


@pytest.mark.parametrize("alpha", [pytest.param(1e9, marks=needs_data)])
def test_the_command_fails_where_a_model_is_worse(alpha):
    words = [
        "flip-gb1",
        "--data",
        str(ASSAYS),
        "--split",
        "three_vs_rest",
        "--model",
        "ridge",
        f"model.alpha={alpha}",
    ]
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
    assert found.found.pooled >= floor


@pytest.mark.parametrize("channels", [pytest.param(64, marks=needs_data)])
@pytest.mark.slow
def test_flips_network_beats_ridge_where_thousands_of_variants_train_it(channels):
    """FLIP's recipe with fewer channels, a larger rate and smaller batches: 20 s in place of minutes."""
    pairs = [f"model.channels={channels}", "train.lr=3e-3", "train.batch_size=128", "train.max_epochs=30",
             "train.save_every_n_epochs=30", "train.logger=[]", "trainer.accelerator=cpu"]  # fmt: skip
    assert score_split(find_table(ASSAYS), "three_vs_rest", "cnn", pairs).found.pooled >= 0.78
