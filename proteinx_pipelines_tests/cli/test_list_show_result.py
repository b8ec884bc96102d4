"""`proteinx list`, `show` and `result`, on a history that the node's own code has written."""

import json

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.ledger.generation import Outcome

FAILED = Outcome("FAILED", "empty_selection", "No variant matches [the query].", "Traceback: somewhere")


def test_asking_an_empty_folder_creates_nothing(proteinx, folder):
    assert "proteinx up" in proteinx("list", expect=1).output
    assert list(folder.iterdir()) == []


def test_list_has_the_newest_generation_of_each_experiment_newest_first(proteinx, history):
    history.end("gb1-a")
    history.begin("gb1-b")
    history.end("gb1-c", FAILED)
    history.arrive("gb1-a", message_id="again")
    lines = [line.split() for line in proteinx("list").output.splitlines() if "gb1-" in line]
    assert [(name, generation, state) for name, generation, state, *_ in lines] == [
        ("gb1-a", "2", "PENDING"), ("gb1-c", "1", "FAILED"), ("gb1-b", "1", "RUNNING"),
    ]  # fmt: skip
    assert "train 50%" in proteinx("list").output
    assert "empty_selection" in proteinx("list", "--state", "failed").output
    assert "gb1-b" not in proteinx("list", "--state", "failed").output
    assert len(json.loads(proteinx("list", "--json", "--limit", "2").output)) == 2


def test_show_tells_state_stages_metrics_and_history(proteinx, history):
    history.end("gb1-a")
    printed = proteinx("show", "gb1-a").output
    for text in (
        "SUCCEEDED",
        "generation 1, attempt 1",
        "selection",
        "computed",
        "test/spearman",
        "0.8412",
        "received",
    ):
        assert text in printed
    document = json.loads(proteinx("show", "gb1-a", "--json").output)
    assert document["summary"] == {"test/spearman": 0.8412, "test/mse": None}
    assert [entry["state"] for entry in document["history"]] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert "token" not in document


def test_show_has_the_error_of_every_attempt(proteinx, history, settings):
    """Of three attempts, two had left no error, trace or stage that a person could find."""
    from proteinx_pipelines.node.lifecycle.attempt_end import settle

    history.arrive("gb1-r", flags={"data": {"source": "GB1"}, "run": {"retries": 1, "retry_backoff_s": 0}})
    for number in (1, 2):
        current = history.begin("gb1-r", stage=("train", "evaluate")[number - 1])
        failed = Outcome("FAILED", "disk_full", f"no room [{number}]", f"Traceback number {number}")
        settle(settings, history.state, current, failed)
    printed = proteinx("show", "gb1-r", "--attempts", "--trace").output
    for text in (
        "no room [1]",
        "no room [2]",
        "train",
        "evaluate",
        "Traceback number 1",
        "Traceback number 2",
    ):
        assert text in printed
    assert "no room [1]" not in proteinx("show", "gb1-r").output
    document = json.loads(proteinx("show", "gb1-r", "--json").output)
    assert [entry["error_message"] for entry in document["attempts"]] == ["no room [1]", "no room [2]"]


def test_a_trace_is_shown_when_asked_for_and_brackets_are_text(proteinx, history):
    history.end("gb1-f", FAILED)
    printed = proteinx("show", "gb1-f").output
    assert "empty_selection: No variant matches [the query]." in printed
    assert "somewhere" not in printed
    assert "Traceback: somewhere" in proteinx("show", "gb1-f", "--trace").output


def test_an_earlier_generation_stays_readable(proteinx, history):
    history.end("gb1-a")
    history.arrive("gb1-a", message_id="again")
    assert "SUCCEEDED" in proteinx("show", "gb1-a", "--generation", "1").output.splitlines()[0]
    assert (
        "has no generation 3; it has 1 to 2"
        in proteinx("show", "gb1-a", "--generation", "3", expect=1).output
    )


def test_an_unknown_id_is_answered_with_the_nearest(proteinx, history):
    history.arrive("gb1-ridge")
    assert "Did you mean 'gb1-ridge'?" in proteinx("show", "gb1-rigde", expect=1).output
    assert "The newest are: gb1-ridge." in proteinx("result", "zzz", expect=1).output


def test_result_is_the_stored_document_and_its_exit_code_the_status(proteinx, history):
    ended = history.end("gb1-a")
    history.end("gb1-f", FAILED)
    assert "0.8412" in proteinx("result", "gb1-a").output
    assert json.loads(proteinx("result", "gb1-a", "--json").output) == history.state.result(ended.result_id)
    assert "empty_selection" in proteinx("result", "gb1-f", expect=1).output


def test_a_result_that_is_not_there_yet_says_where_the_experiment_is(proteinx, history):
    history.begin("gb1-b")
    assert "no result yet: it is RUNNING (train)" in proteinx("result", "gb1-b", expect=1).output


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_narrow_terminal_folds_and_loses_nothing(history, columns):
    history.end("gb1-a-rather-long-name-1234")
    result = CliRunner().invoke(
        main, ["show", "gb1-a-rather-long-name-1234"], env={"COLUMNS": columns}, color=True
    )
    assert result.exit_code == 0
    assert "gb1-a-rather-long-name-1234" in result.output


def test_a_result_as_json_has_the_exit_code_of_its_status(proteinx, history):
    """A script that asked for --json took every failure for a success."""
    history.end("gb1-f", FAILED)
    assert json.loads(proteinx("result", "gb1-f", "--json", expect=1).output)["status"] == "FAILED"


def test_the_files_of_the_newest_generation_are_not_shown_as_an_earlier_ones(proteinx, history):
    history.end("gb1-a")
    history.arrive("gb1-a", message_id="again")
    document = history.settings.experiments_dir / "gb1-a" / "experiment.json"
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text(json.dumps({"artifacts": {"metrics/metrics.json": {"size": 5, "sha256": "0"}}}))
    assert json.loads(proteinx("show", "gb1-a", "--generation", "1", "--json").output)["files"] == {}
    assert json.loads(proteinx("show", "gb1-a", "--json").output)["files"] != {}


@pytest.mark.parametrize("command", ["show", "result", "cancel", "replay"])
def test_an_experiment_that_was_run_by_hand_is_named_as_such(proteinx, settings, command):
    """After `proteinx train` the id was unknown to every command of the queue, though its directory was there."""
    root = settings.experiments_dir / "hand"
    (root / "artifacts").mkdir(parents=True)
    (root / "experiment.json").write_text("{}")
    (root / "artifacts" / "report.html").write_text("")
    printed = proteinx(command, "hand", expect=1).output
    assert "was run by hand; its report is" in printed
    assert str(root / "artifacts" / "report.html") in printed
