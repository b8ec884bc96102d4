"""Nested cross-validation that chooses: on inner folds, inside training rows, the same for every pass."""

import json
from dataclasses import replace

import building
import numpy as np
import pytest

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reading import in_words
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines.stages.train.export import load_model

GRID = {"model": {"alpha": [1e9, 0.5, 100.0]}}


def nested(toy, n_outer=2, n_inner=3):
    """Folds as `split.inner_folds` makes them: pass by pass, the same tested rows in each."""
    order = np.random.default_rng(0).permutation(60)
    outer = [np.sort(part) for part in np.array_split(order, n_outer)]
    folds = []
    for number in range(n_inner):
        for test in outer:
            rest = np.setdiff1d(order, test)
            val = rest[number::n_inner]
            folds.append(Fold(np.setdiff1d(rest, val), val, test))
    toy.split = replace(toy.split, folds=tuple(folds), info={"pass_kind": "inner fold", "passes": n_inner})
    return toy


def train(toy, **more):
    split = {"inner_folds": 3, "folds": 2}
    return toy.train(split=split, **more)


def test_the_best_on_inner_folds_trains_every_pass_of_its_outer_fold(tmp_path):
    toy = nested(building.ToyExperiment(tmp_path))
    infos = train(toy, train={"search": GRID}).info["folds"]
    assert len(infos) == 6
    for number, info in enumerate(infos):
        assert info["search"]["chosen"] == {"model.alpha": 0.5}
        assert info["search"] == infos[number % 2]["search"]
        assert [entry["values"]["model.alpha"] for entry in info["search"]["tried"]] == [1e9, 0.5, 100.0]
    # The score is the mean over the inner folds of the plain model's, which is trained the ordinary way here.
    plain = nested(building.ToyExperiment(tmp_path / "plain"))
    found = train(plain, model={"alpha": 100.0})
    scores = [metrics["val/spearman"] for metrics in found.fold_metrics]
    expected = [np.mean(scores[k::2]) for k in range(2)]
    assert [infos[k]["search"]["tried"][2]["score"] for k in range(2)] == pytest.approx(expected)
    best = nested(building.ToyExperiment(tmp_path / "best"))
    train(best, model={"alpha": 0.5})
    rows = np.arange(60)
    for k in range(6):
        one, other = (
            load_model(each.directory.model_dir / f"fold_{k}").predict(toy.embedding, rows)
            for each in (toy, best)
        )
        np.testing.assert_array_equal(one, other)


def test_targets_of_tested_rows_change_neither_the_choice_nor_the_scores(tmp_path):
    one, other = (
        nested(building.ToyExperiment(tmp_path / "a")),
        nested(building.ToyExperiment(tmp_path / "b")),
    )
    tested = one.split.folds[0].test
    rows = other.variants.rows
    target = other.variants.column("target").copy()
    target[tested] = -5 * target[tested]
    at = rows.column_names.index("target")
    other.variants = replace(other.variants, rows=rows.set_column(at, "target", [target]))
    found = [train(toy, train={"search": GRID}).info["folds"][0]["search"] for toy in (one, other)]
    assert found[0] == found[1]


def test_optuna_draws_from_ranges_the_same_each_time(tmp_path):
    pytest.importorskip("optuna")
    span = {
        "model": {"alpha": {"low": 1e-3, "high": 1e3, "log": True}}, "train": {"target": ["none", "standardize"]}
    }  # fmt: skip
    found = []
    for name in ("a", "b"):
        toy = nested(building.ToyExperiment(tmp_path / name))
        found.append(
            train(toy, train={"search": span, "search_trials": 5, "search_metric": "mse"}).info["folds"]
        )
    assert json.dumps(found[0]) == json.dumps(found[1])
    search = found[0][0]["search"]
    assert len(search["tried"]) == 5
    best = min(search["tried"], key=lambda entry: entry["score"])
    assert search["chosen"] == best["values"]
    assert all(1e-3 <= entry["values"]["model.alpha"] <= 1e3 for entry in search["tried"])


def test_networks_are_searched_and_leave_no_files_of_candidates(tmp_path):
    toy = nested(building.ToyExperiment(tmp_path), n_outer=2, n_inner=2)
    fit = {
        "max_epochs": 2,
        "logger": [],
        "search": {"train": {"lr": [1e30, 0.01]}, "model": {"hidden_dims": [[4]]}},
    }
    found = toy.train(
        model={"name": "mlp"}, train=fit, trainer={"accelerator": "cpu"}, split={"inner_folds": 2}
    ).info["folds"]
    assert found[0]["search"]["chosen"] == {"train.lr": 0.01, "model.hidden_dims": [4]}
    assert not list(toy.directory.root.glob(".search-*"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"train.search": {"model.alpha": [1.0]}}, "give `split.inner_folds` too"),
        ({"train.search": {"model.alhpa": [1.0]}, "split.inner_folds": 3}, "names 'model.alhpa'"),
        ({"train.search": {"train.seeds": [1]}, "split.inner_folds": 3}, "names 'train.seeds'"),
        ({"train.search": {"model.alpha": [-1.0]}, "split.inner_folds": 3}, r"model.alpha -1.0"),
        (
            {"train.search": {"train.lr": {"low": 1, "high": 2}}, "split.inner_folds": 3},
            "give the number of trials",
        ),
        (
            {"train.search": {"train.lr": {"low": 2, "high": 1}}, "split.inner_folds": 3},
            "range of train.lr: found low 2 and high 1; low below high",
        ),
        ({"train.search": {"train.lr": {"low": 2, "hihg": 1}}, "split.inner_folds": 3}, "`high`: .*`hihg`: "),
        (
            {"train.search": {"split.seed": [1]}, "split.inner_folds": 3},
            "names flags of split; flags of `model`",
        ),
        (
            {"train.search": {"model.alhpa": [1.0], "model.alpha": [-1, "x"]}, "split.inner_folds": 3},
            "names 'model.alhpa'.*; has model.alpha -1: .*; has model.alpha 'x': ",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_the_flags(flags, said):
    with pytest.raises(FlagError, match=said):
        parse_flags({"data.source": "A", **flags})


@pytest.mark.parametrize("flag", ["train.search_metric", "train.metrics"])
def test_a_metric_that_is_not_there_is_refused_with_the_flags(flag):
    """`train.search_metric=foo` ended the training with a traceback."""
    with pytest.raises(FlagError, match=rf"`{flag}`: unknown metric 'foo'; the metrics are mae, mse"):
        parse_flags({"data.source": "A", flag: "foo"}, known=known_here())


def test_a_searched_flag_that_nothing_reads_is_said():
    given = {"data.source": "A", "model.name": "ridge", "split.inner_folds": 2}
    searched = {"model.dropout": [0.1, 0.2], "model.alpha": [1, 2]}
    said = in_words(parse_flags({**given, "train.search": searched}))
    assert said == "`model.dropout` is read by nothing with ridge: the result is the same without."
