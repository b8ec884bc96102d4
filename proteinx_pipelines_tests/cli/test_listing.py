"""`proteinx list` and `show` tell experiments apart, on a history that the node's own code has written."""

import json
import re

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.listing import STATES
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.services import listing

FLAGS = {"data": {"source": ["GB1", "A4"]}, "model": {"name": "mlp"}, "split": {"method": "modulo", "folds": 5},
         "train": {"lr": 0.01}}  # fmt: skip
FAILED = Outcome("FAILED", "empty_selection", "No variant matches.", None)


@pytest.fixture
def line(history):
    """One runs, two wait (the later one in front by its priority), one has ended, one message was refused."""
    history.end("gb1-done")
    history.begin("gb1-runs")
    history.arrive("gb1-waits", flags=FLAGS)
    history.arrive("gb1-first", priority=9)
    refused = {"data": {"source": "GB1"}}
    history.intake.ingest(
        json.dumps({"experiment_id": "gb1-done", "flags": refused, "message_id": "m"}).encode()
    )
    return history


def rows(proteinx, *arguments):
    return json.loads(proteinx("list", "--json", *arguments).output)


def on_a_screen(width, *arguments):
    env = {"COLUMNS": str(width), "FORCE_COLOR": "1", "TERM": "xterm"}
    result = CliRunner().invoke(main, arguments, env=env)
    assert result.exit_code == 0, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_the_choices_of_the_command_are_the_states_of_rows() -> None:
    assert listing.STATES == STATES


def test_data_model_split_priority_and_changed_flags_are_in_the_row(proteinx, line) -> None:
    """34 of 36 lines of a session read `SUCCEEDED test/spearman`; ids had to say what was what."""
    (waits,) = (row for row in rows(proteinx) if row["experiment_id"] == "gb1-waits")
    assert (waits["source"], waits["model"], waits["split"]) == ("GB1, A4", "mlp", "modulo, 5 folds")
    assert (waits["embedding"], waits["changed_flags"]) == ("onehot", {"train.lr": 0.01})
    printed = proteinx("list").output
    assert "train.lr=0.01" in printed
    assert "modulo, 5 folds" in printed


def test_one_that_waits_says_its_place_and_why(proteinx, line) -> None:
    """No heartbeat is there: that is why nothing moves."""
    by_id = {row["experiment_id"]: row for row in rows(proteinx) if row["state"] == "PENDING"}
    assert (by_id["gb1-first"]["position"], by_id["gb1-first"]["priority"]) == (1, 9)
    assert by_id["gb1-waits"]["position"] == 2
    assert by_id["gb1-waits"]["waits_for"] == "no node takes messages now"
    (runs,) = (row for row in rows(proteinx) if row["state"] == "RUNNING")
    assert (runs["position"], runs["waits_for"]) == (0, None)


def test_with_a_node_the_reason_is_what_is_before_it(proteinx, line, monkeypatch) -> None:
    monkeypatch.setattr("proteinx_pipelines.node.processes.readiness.heart_beats", lambda _settings: True)
    by_id = {row["experiment_id"]: row for row in rows(proteinx, "--state", "pending")}
    assert by_id["gb1-first"]["waits_for"] == "is next"
    assert by_id["gb1-waits"]["waits_for"] == "1 before it"
    assert "#2" in proteinx("show", "gb1-waits").output


def test_refused_messages_are_rows(proteinx, line) -> None:
    (refused,) = rows(proteinx, "--state", "rejected")
    assert (refused["experiment_id"], refused["error_code"], refused["generation"]) == (
        "gb1-done",
        "duplicate",
        None,
    )
    assert "run.allow_duplicate" in refused["error_message"]
    assert "REJECTED" in proteinx("list").output


def test_conditions_and_sorting_name_fields_metrics_and_flags(proteinx, line) -> None:
    def ids(*arguments):
        return [row["experiment_id"] for row in rows(proteinx, *arguments)]

    assert ids("--where", "model=mlp") == ["gb1-waits"]
    assert ids("--where", "test/spearman>0.5") == ["gb1-done"]
    assert ids("--where", "train.lr=0.01") == ["gb1-waits"]
    assert ids("--where", "source~a4", "--where", "state=pending") == ["gb1-waits"]
    assert ids("--where", "test/spearman<0.5") == []
    assert ids("--sort", "-priority")[0] == "gb1-first"
    assert ids("--sort", "id", "--state", "pending") == ["gb1-first", "gb1-waits"]
    assert ids("--sort", "-test/spearman")[0] == "gb1-done"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--where", "modle=gp"), "'modle' is no field, metric or flag. Did you mean 'model'"),
        (("--where", "model"), "'model': NAME=VALUE is expected"),
        (("--sort", "-train.lrr"), "Did you mean 'train.lr'"),
    ],
)
def test_a_condition_that_names_nothing_is_refused(proteinx, line, arguments, said) -> None:
    assert said in proteinx("list", *arguments, expect=1).output


def test_runs_by_hand_are_listed_and_marked(proteinx, history) -> None:
    history.end("gb1-queued")
    root = history.settings.experiments_dir / "hand"
    root.mkdir(parents=True)
    document = {"status": "SUCCEEDED", "generation": 1, "attempt": 1, "created_at": "2026-01-01T00:00:00+00:00",
                "updated_at": "2026-01-01T00:01:00+00:00", "flags": {"data": {"source": ["TOY"]}},
                "summary": {"test/spearman": 0.5}}  # fmt: skip
    (root / "experiment.json").write_text(json.dumps(document))
    (hand,) = rows(proteinx, "--where", "via=hand")
    assert (hand["experiment_id"], hand["source"], hand["state"]) == ("hand", "TOY", "SUCCEEDED")
    assert "by hand" in proteinx("list").output


def test_hand_runs_are_listed_where_nothing_was_ever_queued(proteinx, settings) -> None:
    root = settings.experiments_dir / "hand"
    root.mkdir(parents=True)
    (root / "experiment.json").write_text(json.dumps({"status": "FAILED", "generation": 1, "attempt": 1}))
    assert "by hand" in proteinx("list").output
    assert not settings.state_path.exists()


def test_what_is_archived_or_gone_is_marked(proteinx, history) -> None:
    history.end("gb1-gone")
    history.end("gb1-packed")
    (history.settings.experiments_dir / "gb1-here").mkdir(parents=True)
    history.end("gb1-here")
    archive = history.settings.paths.archive("gb1-packed")
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"")
    by_id = {row["experiment_id"]: row["whereabouts"] for row in rows(proteinx)}
    assert by_id == {"gb1-gone": "removed", "gb1-packed": "archived", "gb1-here": "here"}
    assert "archived" in proteinx("show", "gb1-packed").output


@pytest.mark.parametrize("width", [66, 80, 100, 140, 200])
def test_no_word_is_broken_on_a_narrow_screen(line, width) -> None:
    """At 80 columns `SUCCEEDED` stood as `SUCCEED` and `ED`, `test/spearman` in four lines."""
    line.end("a-rather-long-name-of-an-experiment")
    printed = on_a_screen(width, "list")
    for word in (
        "a-rather-long-name-of-an-experiment",
        "SUCCEEDED",
        "RUNNING",
        "PENDING",
        "REJECTED",
        "test/spearman",
    ):
        assert word in printed, printed
    assert max(len(row) for row in printed.splitlines()) <= width
    shown = on_a_screen(width, "show", "gb1-done")
    for word in ("selection", "embedding", "computed", "test/spearman", "SUCCEEDED"):
        assert word in shown, shown


def test_nothing_is_lost_where_a_name_is_wider_than_the_screen(history) -> None:
    name = "a" * 90
    history.end(name)
    letters = on_a_screen(60, "list").count("a")
    assert letters >= 90


def test_the_run_in_dagster_carries_the_same_facts(line) -> None:
    from proteinx_pipelines.defs.tags import run_tags

    current = line.state.latest("gb1-waits")
    tags = run_tags(current)
    assert tags["proteinx/source"] == "GB1, A4"
    assert tags["proteinx/model"] == "mlp"
    assert tags["proteinx/split"] == "modulo, 5 folds"
    assert tags["proteinx/flags"] == "train.lr"
    assert (tags["proteinx/generation"], tags["proteinx/attempt"], tags["proteinx/priority"]) == (
        "1",
        "1",
        "0",
    )


def test_what_is_claimed_and_not_decided_is_told(proteinx, line) -> None:
    """Messages stayed on the list of claims for good, named by nobody."""
    left = f"{line.settings.queue_name}:processing:{line.settings.node_name}"
    assert "claimed" not in proteinx("list").output
    connect(line.settings.redis_url).lpush(left, b'{"experiment_id": "left", "flags": {}}')
    said = proteinx("list").output
    assert "claimed and not decided yet: left" in said
    assert "proteinx doctor" in said
    assert "claimed and not decided yet: left" in proteinx("list", "--json").stderr
