"""`proteinx train` and `proteinx plan` on real measurements, without a queue."""

import json

import pyarrow as pa
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.cli.flag_arguments import with_source_of
from proteinx_pipelines.cli.train import train
from proteinx_pipelines.cli.variant_table import show
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.flags.parsing import parse_file
from proteinx_pipelines.flags.trainer import trainer_arguments
from proteinx_pipelines.settings import load_settings

SOURCE = "GB1_Nisthal_2019"
FEW = (f"data.source={SOURCE}", "data.limit=150", "evaluate.bootstrap=0", "evaluate.plots=false")


@pytest.fixture
def catalog(folder, repository):
    import_file(
        load_settings().database_path,
        repository / "proteinx_pipelines" / "demo" / "data" / f"{SOURCE}.csv.gz",
    )
    return load_settings()


def actions(printed: str) -> dict[str, str]:
    """Stage -> what became of it, from the lines of a run or of a plan."""
    rows = [line.split() for line in printed.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1] in ("computed", "reused", "taken")}


ALL = ["selection", "transform", "embedding", "split", "train", "evaluate"]


def test_a_run_by_hand_is_an_experiment_and_only_what_changed_is_computed_again(proteinx, catalog):
    first = proteinx("train", *FEW, "--id", "hand").output
    assert actions(first) == dict.fromkeys(ALL, "computed")
    assert "test/spearman" in first
    directory = catalog.experiments_dir / "hand"
    assert str(directory / "artifacts" / "report.html") in first
    assert read_json(directory / "experiment.json")["status"] == "SUCCEEDED"

    planned = proteinx("plan", *FEW, "model.alpha=3", "--id", "hand").output
    assert actions(planned) == {**dict.fromkeys(ALL, "reused"), "train": "computed", "evaluate": "computed"}
    assert "`model.alpha` changed from" in planned
    assert "of computing" in planned
    again = proteinx("train", *FEW, "model.alpha=3", "--id", "hand").output
    assert actions(again) == actions(planned)
    assert read_json(directory / "experiment.json")["generation"] == 2
    assert (directory / "generations" / "1" / "artifacts" / "report.json").is_file()

    everything = proteinx("train", *FEW, "model.alpha=3", "run.resume=false", "--id", "hand").output
    assert actions(everything) == dict.fromkeys(ALL, "computed")
    assert "stage_finished" in proteinx("logs", "hand").output


def test_shortcuts_win_over_file_and_pairs(proteinx, catalog, folder):
    (folder / "flags.json").write_text(
        json.dumps({"data": {"source": "x"}, "train": {"lr": 0.5, "batch_size": 8}})
    )
    proteinx(
        "train", "--flags", "flags.json", "--lr", "0.25", "--max_epochs", "3", "--accelerator", "cpu", "--devices", "2",
        "--accumulate_grad_batches", "4", "--gradient-clip-val", "0.5",
        "train.lr=0.125", "train.batch_size=4", "--id", "short", expect=1,
    )  # fmt: skip
    flags = parse_file(catalog.experiments_dir / "short" / "config" / "flags.json")
    assert (flags.train.lr, flags.train.batch_size, flags.train.max_epochs) == (0.25, 4, 3)
    assert flags.trainer.arguments() == {
        "accelerator": "cpu", "devices": 2, "accumulate_grad_batches": 4, "gradient_clip_val": 0.5
    }  # fmt: skip


def test_every_argument_of_the_trainer_is_an_option():
    options = {name for option in train.params for name in option.opts}
    written = {*trainer_arguments(), "lr", "batch_size", "max_epochs"}
    assert {f"--{name}" for name in written} <= options


def test_a_failure_is_one_message_and_stands_in_the_document(proteinx, catalog):
    printed = proteinx("train", "data.source=NO_SUCH", "--id", "bad", expect=1).output
    assert "'NO_SUCH'" in printed
    assert "Traceback" not in printed
    document = read_json(catalog.experiments_dir / "bad" / "experiment.json")
    assert (document["status"], document["error"]["code"]) == ("FAILED", "unknown_source")


def test_an_experiment_of_the_queue_is_not_trained_by_hand(proteinx, history):
    history.end("queued")
    assert (
        "is an experiment of the queue"
        in proteinx("train", "data.source=GB1", "--id", "queued", expect=1).output
    )


def test_what_was_never_computed_here_has_no_time(proteinx, catalog):
    printed = proteinx("plan", *FEW).output
    assert actions(printed) == dict.fromkeys(ALL, "computed")
    assert printed.count("?") == len(ALL)


def test_a_file_may_stand_among_the_pairs_as_for_submit(proteinx, catalog, folder):
    (folder / "flags.json").write_text(json.dumps({"data": {"source": "x"}, "train": {"lr": 0.5}}))
    proteinx("train", "flags.json", "train.seed=7", "--lr", "0.25", "--id", "filed", expect=1)
    flags = parse_file(catalog.experiments_dir / "filed" / "config" / "flags.json")
    assert (flags.data.source, flags.train.lr, flags.train.seed) == (("x",), 0.25, 7)


def test_a_bad_id_is_refused_before_anything_is_written(proteinx, folder):
    """The lock of `a/b` was a folder of its own."""
    assert "`experiment_id` is 'a/b'" in proteinx("train", "data.source=x", "--id", "a/b", expect=1).output
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("payload", "written", "source"),
    [
        ("MY.csv", ["model.name=gp"], "data.source=MY"),
        ("assays/MY.v2.csv.gz", [], "data.source=MY.v2"),
        ("MY.csv", ["data.source=B"], None),
        ("MY.csv", ['{"data": {"source": "B"}}'], None),
        ("catalog.db", [], None),
        ("px://sha256/0", [], None),
        (None, ["model.name=gp"], None),
    ],
)
def test_a_payload_names_the_source_where_nothing_else_does(payload, written, source):
    """`proteinx train --payload MY.csv` asked for a `data.source` that a newcomer cannot know."""
    assert with_source_of(payload, written) == [*written, *([source] if source else [])]


def test_proposing_before_anything_has_succeeded_says_how_to_begin(proteinx, folder):
    said = proteinx("propose", "--n", "4", expect=1).output
    assert "No experiment in" in said
    assert "proteinx train --payload MY.csv" in said
    assert "data.source=X" in proteinx("propose", "data.source=X", expect=2).output


@pytest.mark.parametrize("command", ["predict", "propose"])
def test_a_table_of_an_unknown_form_is_refused_before_anything_is_computed(proteinx, folder, command):
    """The model was trained, the variants were predicted, and then the suffix was refused."""
    said = proteinx(
        command, *(["--singles"] if command == "predict" else []), "--out", "plate.xlsx", expect=2
    ).output
    assert "--out 'plate.xlsx' has neither the suffix .csv nor .parquet" in said
    assert "No experiment" not in said


def test_what_was_guessed_in_reading_a_payload_is_said(proteinx, folder):
    """One of two columns of scores was taken without a word."""
    (folder / "two.csv").write_text(
        "mutant,yield,kcat\n"
        + "".join(f"A{at}{to},{at},{at % 7}.5\n" for at in range(1, 9) for to in "CDEFG")
    )
    (folder / "two.json").write_text('{"template": "AAAAAAAA"}')
    said = proteinx(
        "train", "--payload", "two.csv", "model.name=ridge", "evaluate.bootstrap=0", "evaluate.plots=false"
    )
    assert "Note: the score is 'kcat'; 'yield' could be scores too" in said.output


def test_probabilities_of_classes_and_further_properties_are_printed_too(capsys):
    """They were in the file and the document alone."""
    columns = {"mutant": ["A1C"], "prediction": [1.5], "p_at_least_1": [0.25], "prediction:stability": [7.5]}
    show(pa.table({**columns, "remarks": ["far"]}), None, as_json=False)
    said = capsys.readouterr().out
    assert [said.index(text) for text in ("1.5", "0.25", "7.5", "far")] == sorted(
        said.index(text) for text in ("1.5", "0.25", "7.5", "far")
    )


def test_a_prediction_out_of_range_is_said_in_the_printed_plate_too(capsys):
    remark = "has a residue that was not measured at its position; beyond the highest label"
    columns = {
        "mutant": ["A1C", "WT"],
        "remarks": [remark, None],
        "reason": ["predicted 1.7", "control: the wild type"],
    }
    show(pa.table(columns), None, as_json=False)
    said = capsys.readouterr().out
    assert "predicted 1.7; beyond the highest label" in said
    assert "has a residue" not in said  # the reason names it


def test_no_mutant_is_no_question(proteinx, folder):
    assert (
        "--mutants is ' , '; mutants such as A24C" in proteinx("predict", "--mutants", " , ", expect=2).output
    )


def test_classes_have_probabilities_from_the_command_to_the_prediction_of_new_variants(
    proteinx, catalog, folder
):
    """Scores of 0 and 1 are the same targets without classes: their model, without probabilities, was taken over."""
    rows = ["mutant,DMS_score"]
    rows += [
        f"{old}{at}{new},{int((at + ord(new)) % 3 > 0)}"
        for at, old in enumerate("MQYKLILN", 1)
        for new in "ACDEFGH"
    ]
    (folder / "sorted.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "sorted.json").write_text(json.dumps({"template": "MQYKLILN"}), encoding="utf-8")
    run = (
        "train",
        "--payload",
        "sorted.csv",
        "evaluate.bootstrap=50",
        "evaluate.plots=false",
        "split.folds=2",
    )
    assert "test/auc" not in proteinx(*run, "--id", "scores").output
    printed = proteinx(*run, "transform.bins=0.5", "--id", "classes").output
    assert actions(printed)["train"] == "computed"
    assert "test/auc" in printed
    experiment = open_experiment("classes")
    assert experiment.predictions.p_at_least_1.between(0, 1).all()
    found = experiment.predict(["M1W", "Q2Y:Y3W"])
    assert list(found.columns) == [
        "mutant", "sequence", "prediction", "p_at_least_1", "mut_num", "new_positions", "nearest", "remarks",
    ]  # fmt: skip
    assert found.p_at_least_1.between(0, 1).all()
    with pytest.raises(FlagError, match="proposals rank scores"):
        experiment.propose(n=3)
    assert "a design ranks scores" in proteinx("train", "--payload", "sorted.csv", "transform.bins=0.5",
                                               "design.library=singles", expect=None).output  # fmt: skip
