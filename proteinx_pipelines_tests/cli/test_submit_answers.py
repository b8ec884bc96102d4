"""`proteinx submit` never says yes when the answer is no: the node's decision, what is foreseen, where answers go."""

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines_tests.execution.conftest import write_catalog


@pytest.fixture
def waiting(settings):
    """Messages on the Master's list, newest first."""
    return lambda: connect(settings.redis_url).lrange("experiments", 0, -1)


@pytest.fixture
def heard(monkeypatch):
    """A node's heartbeat is there."""
    monkeypatch.setattr("proteinx_pipelines.node.processes.readiness.heart_beats", lambda _settings: True)


@pytest.fixture
def catalog(history):
    """60 single mutants of the source TOY in the catalog of a WORKDIR that has a node."""
    write_catalog(history.settings.database_path, n_singles=60, n_doubles=0)
    return history.settings


def in_background(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def take_one(history):
    while history.intake.take_waiting() == 0:
        time.sleep(0.05)


def test_a_refused_message_ends_with_one_without_wait_too(proteinx, history, heard) -> None:
    """It printed "Submitted known", exit 0, for a message that the node refused."""
    history.arrive("known")
    node = in_background(lambda: take_one(history))
    printed = proteinx("submit", "data.source=GB1", "--id", "known", expect=1).output
    node.join()
    assert "known: REJECTED" in printed
    assert "duplicate: `experiment_id` 'known' is known" in printed
    assert "Submitted" not in printed


def test_an_accepted_message_is_said_to_be_submitted_when_it_is_accepted(proteinx, history, heard) -> None:
    node = in_background(lambda: take_one(history))
    assert "Submitted fresh." in proteinx("submit", "data.source=GB1", "--id", "fresh").output
    node.join()
    assert history.state.latest("fresh").state == "PENDING"


def test_an_undecided_message_is_said_to_be_undecided(proteinx, history, heard, monkeypatch) -> None:
    monkeypatch.setattr("proteinx_pipelines.cli.waiting.DECISION_S", 0.3)
    assert "not yet decided" in proteinx("submit", "data.source=GB1").output


def test_without_a_node_it_says_so_at_once(proteinx, history) -> None:
    printed = proteinx("submit", "data.source=GB1").output
    assert "no node" in printed
    assert "the message waits" in printed


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("data.source=TOYS",), "unknown_source: `data.source`: 'TOYS' is not in"),
        (("data.source=TOY", "data.mut_num.min=2"), "empty_selection: No variant is left"),
        (("data.source=TOY", "split.method=n_vs_rest"), "empty_split: "),
        (("data.source=TOY", "split.method=file", "split.path=no.csv", "split.column=fold"), "bad_split_file: "),
        (("data.source=TOY", "embedding.name=esm2_t6_8M_UR50D", "embedding.weights=no.pt"), "missing_weights: "),
        (("data.source=TOY", "embedding.name=file", "embedding.path=/etc/vectors.h5"), "path_not_allowed: "),
        (("data.source=TOY", "evaluate.metrics=[\"spearmen\"]"), "bad_flags: "),
    ],
)  # fmt: skip
def test_what_is_foreseen_to_fail_is_not_sent_unless_forced(proteinx, catalog, waiting, flags, said) -> None:
    printed = proteinx("submit", *flags, expect=1).output
    assert said in printed
    assert "--force" in printed
    assert waiting() == []
    proteinx("submit", *flags, "--force")
    assert len(waiting()) == 1


def test_what_can_work_is_sent(proteinx, catalog, waiting) -> None:
    proteinx("submit", "data.source=TOY")
    assert len(waiting()) == 1


def test_all_that_is_foreseen_comes_at_once(proteinx, catalog) -> None:
    printed = proteinx("submit", "data.source=TOYS", "embedding.name=esm2_t6_8M_UR50D", "embedding.weights=no.pt",
                       expect=1).output  # fmt: skip
    assert "unknown_source" in printed
    assert "missing_weights" in printed


def test_another_machines_catalog_is_not_judged_by_this_one(proteinx, settings, waiting) -> None:
    """No node has its WORKDIR here: what this folder's catalog lacks says nothing."""
    settings.workdir.mkdir(parents=True)
    write_catalog(settings.database_path, n_singles=60, n_doubles=0)
    proteinx("submit", "data.source=TOYS")
    assert len(waiting()) == 1


def test_plan_says_what_would_fail_and_ends_with_one(proteinx, catalog) -> None:
    printed = proteinx("plan", "data.source=TOYS", expect=1).output
    assert "Would fail: unknown_source" in printed
    assert "Would fail" not in proteinx("plan", "data.source=TOY").output


@pytest.fixture
def assay(catalog, tmp_path_factory):
    """A data file outside of WORKDIR and the data roots, with its template beside it."""
    file = tmp_path_factory.mktemp("elsewhere") / "assay.csv"
    with closing(sqlite3.connect(catalog.database_path)) as database:
        (template,) = database.execute("SELECT template FROM sources").fetchone()
        rows = database.execute("SELECT mutant, DMS_score FROM mutations").fetchall()
    file.write_text("mutant,DMS_score\n" + "".join(f"{mutant},{score}\n" for mutant, score in rows))
    file.with_suffix(".json").write_text(json.dumps({"template": template}))
    return file


def test_a_payload_from_outside_is_copied_in_by_its_content(proteinx, catalog, waiting, assay) -> None:
    """The example of the help text, `--payload /data/my_assay.csv`, ended REJECTED (`path_not_allowed`)."""
    proteinx("submit", "data.source=assay", "--payload", str(assay))
    proteinx("submit", "data.source=assay", "--payload", str(assay))
    first, again = (parse_message(raw).payload_ref for raw in waiting())
    assert first == again
    assert first.startswith(str(catalog.paths.payload_files_dir))
    assert first.endswith("/assay.csv")
    assay.write_text(assay.read_text() + "")
    assay.with_suffix(".json").write_text(assay.with_suffix(".json").read_text() + " ")
    proteinx("submit", "data.source=assay", "--payload", str(assay))
    assert parse_message(waiting()[0]).payload_ref != first
    copied = [path.name for path in (catalog.paths.payload_files_dir).glob("*/*")]
    assert sorted(copied) == ["assay.csv", "assay.csv", "assay.json", "assay.json"]


def test_a_payload_in_workdir_stays_where_it_is_and_a_database_is_copied_whole(
    proteinx, catalog, waiting, tmp_path_factory
) -> None:
    inside = catalog.workdir / "mine.db"
    shutil.copyfile(catalog.database_path, inside)
    proteinx("submit", "data.source=TOY", "--payload", str(inside))
    assert parse_message(waiting()[0]).payload_ref == str(inside)
    outside = tmp_path_factory.mktemp("elsewhere") / "mine.db"
    shutil.copyfile(catalog.database_path, outside)
    with closing(sqlite3.connect(outside)) as open_elsewhere:
        open_elsewhere.execute("PRAGMA journal_mode=WAL")
        open_elsewhere.execute("DELETE FROM mutations WHERE id = 1")
        open_elsewhere.commit()
        proteinx("submit", "data.source=TOY", "--payload", str(outside))
    with closing(sqlite3.connect(parse_message(waiting()[0]).payload_ref)) as copy:
        assert copy.execute("SELECT count(*) FROM mutations").fetchone() == (59,)


def test_a_payload_that_cannot_be_used_is_foreseen(proteinx, catalog, waiting, assay) -> None:
    assay.write_text("mutant,DMS_score\nnonsense,1\n")
    assert (
        "bad_catalog: " in proteinx("submit", "data.source=assay", "--payload", str(assay), expect=1).output
    )
    assert waiting() == []


def test_answers_go_to_a_list_of_their_own_and_what_was_shown_is_taken_off(proteinx, history, heard) -> None:
    """A Master that waits with BRPOP took results of what an operator had submitted by hand."""
    lists = connect(history.settings.redis_url)

    def node() -> None:
        take_one(history)
        history.end("mine")

    thread = in_background(node)
    proteinx("submit", "data.source=GB1", "--id", "mine", "--wait")
    thread.join()
    history.end("the-masters")
    assert len(lists.lrange("experiments:results", 0, -1)) == 1
    assert list(lists.scan_iter(match="experiments:results:to:*")) == []


def test_without_a_workdir_here_the_answer_comes_over_redis(
    proteinx, settings, tmp_path_factory, monkeypatch
) -> None:
    """On another machine than the node's, --wait waited for ever: it looked at a `state.db` of its own."""
    lists = connect(settings.redis_url)
    result = {"result_id": "r", "experiment_id": "far", "generation": 1, "attempt": 1, "status": "SUCCEEDED",
              "summary": {"test/spearman": 0.5}, "artifacts": {"directory": None, "files": []}, "stages": {},
              "error": None, "trace": None, "started_at": None, "finished_at": "2026-01-01T00:00:00+00:00",
              "node": "far", "message_id": None, "schema_version": 1}  # fmt: skip

    def node() -> None:
        while (raw := lists.rpop("experiments")) is None:
            time.sleep(0.05)
        lists.lpush(f"experiments:results:to:{json.loads(raw)['reply_to']}", json.dumps(result))

    lists.set("nodes/far/heartbeat", "{}", ex=30)
    thread = in_background(node)
    assert "test/spearman" in proteinx("submit", "data.source=GB1", "--id", "far", "--wait").output
    thread.join()
    assert not settings.state_path.exists()
