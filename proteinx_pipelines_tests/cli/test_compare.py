"""The leaderboard: the same variants, the same resamples, and what cannot be compared is said."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.metrics import compute
from proteinx_pipelines.services.ranking import rank_experiments

N = 120


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.fixture
def finished(workdir):
    """Write a finished experiment whose predictions have noise of a given size."""

    def make(name, noise, rows=range(N), words="A single split at random.", shift=0.0, ext=None, **flags):
        random = np.random.default_rng(7)
        target = random.normal(size=N) + shift
        prediction = target + noise * np.random.default_rng([ord(letter) for letter in name]).normal(size=N)
        rows = np.array(list(rows))
        folder = workdir / "experiments" / name
        (folder / "artifacts").mkdir(parents=True)
        (folder / "config").mkdir()
        pq.write_table(
            pa.table(
                {"id": [f"toy/{row}" for row in rows], "mutant": [str(row) for row in rows], "target": target[rows],
                 "prediction": prediction[rows], "fold": np.zeros(len(rows), np.int32), "part": ["test"] * len(rows)}
            ),
            folder / "artifacts/predictions.parquet",
        )  # fmt: skip
        report = {
            "experiment": {"title": f"toy: ridge on {name}"},
            "split": {"words": words},
            "in_target_units": True,
        }
        (folder / "artifacts/report.json").write_text(json.dumps(report))
        flags = {"data": {"source": ["toy"]}, "ext": ext or {}, **flags}
        (folder / "config/flags.json").write_text(json.dumps(flags))
        (folder / "experiment.json").write_text(json.dumps({"status": "SUCCEEDED", "generation": 1}))
        return open_experiment(name)

    return make


def test_the_best_comes_first_and_differences_are_paired(finished):
    good, middle, bad = finished("good", 0.2), finished("middle", 0.25), finished("bad", 3.0)
    board = rank_experiments([bad, good, middle], ("spearman", "mse"), resamples=400)
    assert [row.experiment_id for row in board.rows] == ["good", "middle", "bad"]
    assert board.notes == []
    first, second, last = board.rows
    target, prediction = (good.predictions[name].to_numpy() for name in ("target", "prediction"))
    assert first.values["spearman"] == pytest.approx(compute("spearman", target, prediction))
    assert first.difference is None
    assert last.difference[2] < 0
    assert last.beats_best == 0.0
    width = second.difference[2] - second.difference[1]
    apart = sum(row.intervals["spearman"][1] - row.intervals["spearman"][0] for row in (first, second))
    assert width < apart  # the variants that are hard for one are hard for the other
    assert 0 < second.beats_best < 0.5


def test_a_lower_error_ranks_higher(finished):
    board = rank_experiments([finished("bad", 3.0), finished("good", 0.2)], ("mse",), resamples=100)
    assert [row.experiment_id for row in board.rows] == ["good", "bad"]
    assert board.rows[1].difference[0] > 0
    assert board.rows[1].beats_best == 0.0


def test_only_common_variants_count_and_what_differs_is_said(finished):
    whole, half = finished("whole", 1.0), finished("half", 0.5, rows=range(60), words="5-fold.")
    board = rank_experiments([whole, half], ("spearman",), resamples=50)
    assert board.n_common == 60
    assert board.notes[0] == "Not all tested the same variants: whole (120); 60 are common to all."
    assert "The splits differ" in board.notes[1]
    shifted = rank_experiments([whole, finished("shifted", 0.5, shift=2.0)], ("spearman",), resamples=50)
    assert "The targets of shifted are not those of whole" in shifted.notes[0]


def test_experiments_without_a_common_variant_are_refused(finished):
    one, other = finished("one", 1.0, rows=range(60)), finished("other", 1.0, rows=range(60, 120))
    with pytest.raises(InputError, match=r"0 variants are tested by all .*\(one 60, other 60 tested"):
        rank_experiments([one, other], ("spearman",))
    with pytest.raises(InputError, match="At least two"):
        rank_experiments([one], ("spearman",))


def test_the_command_prints_and_writes_the_board(finished, tmp_path):
    finished("good", 0.2)
    finished("bad", 3.0)
    finished("odd", 1.0, ext={"group": "gb1"})
    html, table = tmp_path / "board.html", tmp_path / "board.csv"
    run = CliRunner().invoke(
        main,
        [
            "compare",
            "good",
            "bad",
            "--group",
            "gb1",
            "--resamples",
            "50",
            "--html",
            str(html),
            "--csv",
            str(table),
        ],
    )
    assert run.exit_code == 0, run.output
    words = [line.split()[:1] for line in run.output.splitlines()]
    lines = [word[0] for word in words if word and word[0] in ("good", "bad", "odd")]
    assert lines == ["good", "odd", "bad"]
    assert "120 variants that all of them tested" in run.output
    with table.open(newline="") as stream:
        records = list(csv.DictReader(stream))
    assert [record["experiment"] for record in records] == ["good", "odd", "bad"]
    assert float(records[2]["difference"]) < float(records[1]["difference"]) < 0
    text = html.read_text()
    assert text.startswith("<!doctype html>")
    assert set(re.findall(r"https?://[^\"'/]*", text)) <= {
        "http://www.w3.org"
    }  # the name of SVG, not an address
    assert "toy: ridge on good" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compare", "good", "--group", "nobody"], "No finished experiment belongs to the group 'nobody'"),
        (["compare", "good", "bad", "--metric", "spearmen"], "did you mean 'spearman'"),
        (["compare", "good", "goood"], "Did you mean 'good'"),
    ],
)
def test_what_cannot_be_compared_is_named(finished, arguments, expected):
    finished("good", 0.2)
    finished("bad", 3.0)
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code != 0
    assert expected in run.output
    assert Path("board.html").exists() is False


def test_experiments_of_the_same_name_are_refused_not_dropped(finished, tmp_path):
    """Directories are compared by id: of two called the same, one was left out without a word."""
    finished("good", 0.2)
    finished("bad", 3.0)
    copy = shutil.copytree(tmp_path / "work" / "experiments" / "good", tmp_path / "elsewhere" / "good")
    run = CliRunner().invoke(main, ["compare", "good", "bad", str(copy)])
    assert run.exit_code == 1
    assert "Several of these experiments are called good" in run.output
    same = CliRunner().invoke(main, ["compare", "good", "bad", "good", "--group", "g*", "--resamples", "20"])
    assert same.exit_code == 0, same.output


def test_brackets_in_a_title_are_text(finished):
    finished("good", 0.2)
    folder = finished("bad", 3.0).directory.root
    report = json.loads((folder / "artifacts/report.json").read_text())
    report["experiment"]["title"] = "toy [red]: ridge"
    (folder / "artifacts/report.json").write_text(json.dumps(report))
    assert (
        "toy [red]: ridge" in CliRunner().invoke(main, ["compare", "good", "bad", "--resamples", "20"]).output
    )


def seeds(finished, name, noise, n=4, **flags):
    """Runs with the seeds 0 to n - 1, each of which tests rows of its own."""
    return [
        finished(
            f"{name}-s{seed}", noise, rows=range(seed * 30, seed * 30 + 30), split={"seed": seed}, **flags
        )
        for seed in range(n)
    ]


def test_several_seeds_of_one_experiment_give_mean_and_deviation(finished) -> None:
    """It ended with "1 variants are tested by all of these experiments"."""
    runs = seeds(finished, "ridge", 1.0)
    board = rank_experiments(runs, ("spearman", "mse"))
    values = [
        compute("spearman", *(run.predictions[name].to_numpy() for name in ("target", "prediction")))
        for run in runs
    ]
    (group,) = board.groups
    assert board.rows == []
    assert len(group.ids) == 4
    assert group.means["spearman"] == pytest.approx(np.mean(values))
    assert group.deviations["spearman"] == pytest.approx(np.std(values, ddof=1))


def test_two_models_over_seeds_are_compared_seed_by_seed(finished) -> None:
    good = seeds(finished, "good", 0.2, model={"name": "gp"})
    bad = seeds(finished, "bad", 3.0, n=3, model={"name": "ridge"})
    board = rank_experiments([*bad, *good], ("spearman",))
    best, other = board.groups
    assert best.ids[0] == "good-s0"
    assert best.difference is None
    mean, deviation, n = other.difference
    assert n == 3
    gaps = [
        compute("spearman", b.predictions["target"].to_numpy(), b.predictions["prediction"].to_numpy())
        - compute("spearman", g.predictions["target"].to_numpy(), g.predictions["prediction"].to_numpy())
        for b, g in zip(bad, good[:3], strict=True)
    ]
    assert mean == pytest.approx(np.mean(gaps))
    assert deviation == pytest.approx(np.std(gaps, ddof=1))


def test_seeds_of_the_training_alone_are_ranked_and_summarized(finished) -> None:
    runs = [finished(f"mlp-{seed}", 0.5, train={"seed": seed}) for seed in range(3)]
    board = rank_experiments(runs, ("spearman",), resamples=50)
    assert len(board.rows) == 3
    assert len(board.groups) == 1


def test_the_command_shows_seeds_in_every_form(finished, tmp_path) -> None:
    names = [run.id for run in seeds(finished, "ridge", 1.0)]
    html, table = tmp_path / "board.html", tmp_path / "board.csv"
    run = CliRunner().invoke(main, ["compare", *names, "--html", str(html), "--csv", str(table)])
    assert run.exit_code == 0, run.output
    assert "ridge-s0 ... ridge-s3" in run.output
    assert "±" in run.output
    with table.open(newline="") as stream:
        (record,) = csv.DictReader(stream)
    assert (record["n_seeds"], record["experiments"]) == ("4", "ridge-s0 ridge-s1 ridge-s2 ridge-s3")
    assert "Over seeds" in html.read_text()
    document = json.loads(CliRunner().invoke(main, ["compare", *names, "--json"]).output)
    assert document["groups"][0]["ids"] == names


def of_two_sources(experiment, shift):
    """The experiment with its first half in another assay, whose targets and predictions lie higher."""
    path = experiment.directory.predictions
    table = pq.read_table(path).to_pandas()
    other = table.index < N // 2
    table.loc[other, "id"] = table.id[other].str.replace("toy", "other")
    for name in ("target", "prediction"):
        table.loc[other, name] += shift
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)
    return open_experiment(experiment.id)


def test_a_leaderboard_over_several_sources_says_what_is_pooled(finished):
    noise, good = (
        of_two_sources(finished(name, size), 20.0) for name, size in (("noise", 50.0), ("good", 0.2))
    )
    board = rank_experiments([good, noise], ("spearman",), resamples=50)
    by_name = {row.experiment_id: row for row in board.rows}
    assert abs(by_name["noise"].within["spearman"]) < 0.4
    assert by_name["good"].within["spearman"] > 0.9
    (note,) = board.notes
    assert "noise (pooled" in note
    assert "good (pooled" not in note
    result = CliRunner().invoke(
        main, ["compare", "noise", "good", "--metric", "spearman", "--resamples", "50"]
    )
    assert "within sources" in result.output
