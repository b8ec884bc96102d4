"""`proteinx submit`: what goes onto the list, and what --wait shows."""

import json
import threading
import time

import click
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from proteinx_pipelines.contract.request import parse_message, readable_id
from proteinx_pipelines.experiment_id import check_experiment_id
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.waiting import wait_until


@pytest.fixture
def waiting(settings):
    """Messages on the Master's list, newest first."""
    return lambda: connect(settings.redis_url).lrange("experiments", 0, -1)


def test_pairs_win_over_the_file_and_the_message_is_one_the_node_accepts(proteinx, folder, waiting):
    (folder / "flags.json").write_text('{"data": {"source": "GB1"}, "train": {"lr": 0.5, "seed": 7}}')
    printed = proteinx("submit", "train.lr=0.25", "flags.json", "--id", "gb1-a", "--priority", "5").output
    (raw,) = waiting()
    request = parse_message(raw)
    assert (request.experiment_id, request.priority) == ("gb1-a", 5)
    assert (request.flags.train.lr, request.flags.train.seed) == (0.25, 7)
    assert request.message_id.startswith("submit-")
    assert "proteinx show gb1-a" in printed


def test_a_key_value_file_is_read_as_well(proteinx, folder, waiting):
    (folder / "flags.txt").write_text("# mine\ndata.source=GB1\nmodel.name=ridge\nmodel.alpha=3\n")
    proteinx("submit", "flags.txt")
    assert parse_message(waiting()[0]).flags.model.alpha == 3


def test_a_payload_is_named_as_the_shell_means_it(proteinx, folder, waiting):
    (folder / "assay.csv").write_text("mutant,DMS_score\n")
    proteinx("submit", "data.source=assay", "--payload", "assay.csv")
    assert parse_message(waiting()[0]).payload_ref == str((folder / "assay.csv").resolve())


def test_all_problems_come_at_once_and_nothing_is_sent(proteinx, settings, waiting):
    printed = proteinx("submit", "data.sorce=GB1", "train.lr=-1", "model.name=ridge", expect=1).output
    assert "did you mean `data.source`" in printed
    assert "`train.lr`: found -1" in printed
    assert waiting() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("flags.jsn",), "'flags.jsn': neither an existing file nor a pair"),
        (("a.json", "b.json"), "a.json, b.json: one file of flags is read"),
        ((), "Missing FLAGS: a file, pairs"),
        (("data.source=x", "--priority", "high"), "'high' is not a valid integer"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(proteinx, folder, arguments, said):
    for name in ("a.json", "b.json"):
        (folder / name).write_text("{}")
    assert said in proteinx("submit", *arguments, expect=2).output


def test_a_bad_id_is_refused_before_it_is_sent(proteinx, settings, waiting):
    assert (
        "`experiment_id` is '../x'" in proteinx("submit", "data.source=GB1", "--id", "../x", expect=1).output
    )
    assert waiting() == []


def test_without_a_node_the_message_says_how_to_start_one(proteinx, folder, monkeypatch):
    assert "proteinx up" in proteinx("submit", "data.source=GB1", expect=1).output
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert "REDIS_URL right?" in proteinx("submit", "data.source=GB1", expect=1).output


@settings_of_hypothesis(max_examples=30)
@given(st.text(min_size=1, max_size=80).filter(lambda text: text.strip() and "\0" not in text))
def test_a_made_up_id_is_always_usable_and_new(source):
    flags = parse_flags({"data": {"source": [source]}})
    first, second = readable_id(flags), readable_id(flags)
    assert check_experiment_id(first) == first
    assert first != second


def in_background(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def take_one(history):
    while history.intake.take_waiting() == 0:
        time.sleep(0.05)


def test_wait_shows_all_problems_of_a_refused_message(proteinx, history):
    history.arrive("known")
    node = in_background(lambda: take_one(history))
    printed = proteinx("submit", "data.source=GB1", "--id", "known", "--wait", expect=1).output
    node.join()
    assert "known: REJECTED" in printed
    assert "duplicate: `experiment_id` 'known' is known" in printed


@pytest.fixture
def printed_so_far(monkeypatch):
    """Lines that commands have printed, for a node that acts behind one of them."""
    lines, echo = [], click.echo

    def record(message="", *arguments, **named):
        lines.append(str(message))
        echo(message, *arguments, **named)

    monkeypatch.setattr(click, "echo", record)
    return lines


def test_wait_tells_each_stage_and_ends_with_the_metrics(proteinx, history, printed_so_far):
    def node() -> None:
        take_one(history)
        wait_until(lambda: any("gb1-w PENDING" in line for line in printed_so_far))
        history.end("gb1-w")

    thread = in_background(node)
    printed = proteinx("submit", "data.source=GB1", "--id", "gb1-w", "--wait").output
    thread.join()
    assert "gb1-w PENDING" in printed
    assert "gb1-w SUCCEEDED" in printed
    assert printed.index("PENDING") < printed.index("SUCCEEDED") < printed.index("test/spearman")
    assert "0.8412" in printed


def test_wait_says_that_no_node_takes_messages(proteinx, history, monkeypatch, printed_so_far):
    monkeypatch.setattr("proteinx_pipelines.cli.waiting.NO_NODE_AFTER_S", 0.0)

    def node() -> None:
        wait_until(lambda: any("no node" in line for line in printed_so_far))
        take_one(history)
        history.end("gb1-late")

    thread = in_background(node)
    printed = proteinx("submit", "data.source=GB1", "--id", "gb1-late", "--wait").output
    thread.join()
    assert "no node" in printed
    assert "proteinx up" in printed


def test_the_message_is_json_text_that_says_everything(proteinx, settings, waiting):
    proteinx("submit", "data.source=GB1")
    document = json.loads(waiting()[0])
    assert set(document) == {
        "experiment_id",
        "flags",
        "payload_ref",
        "message_id",
        "reply_to",
        "priority",
        "schema_version",
    }
    assert document["flags"]["data"]["source"] == ["GB1"]


def test_paths_in_flags_mean_what_they_mean_to_train(proteinx, folder, waiting):
    """The same flag set meant a file of the current folder for `train` and one of WORKDIR for `submit`."""
    (folder / "folds.csv").write_text("mutant,fold\n")
    pairs = ("data.source=GB1", "split.method=file", "split.column=fold")
    proteinx("submit", *pairs, "split.path=folds.csv")
    proteinx("submit", *pairs, "split.path=in_workdir.csv")
    in_workdir, here = (parse_message(raw).flags.split.path for raw in waiting())
    assert here == str((folder / "folds.csv").resolve())
    assert in_workdir == "in_workdir.csv"


def test_a_value_that_does_not_fit_its_column_is_refused_before_it_is_sent(proteinx, settings, waiting):
    """It passed submit and intake, used up the id and ended FAILED in the selection stage."""
    where = 'data.where=[{"column": "mut_num", "op": "=", "value": "two"}]'
    printed = proteinx("submit", "data.source=GB1", where, expect=1).output
    assert '`data.where[0]`: `mut_num` is compared with numbers, found "two".' in printed
    assert waiting() == []
