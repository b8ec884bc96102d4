"""The command line at a Master elsewhere: `--master URL`, against a real server."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines_tests.cli.test_terminal_output import BOTH, assert_is_letters
from proteinx_pipelines_tests.master.conftest import master, open_master, served  # noqa: F401

RIDGE = ("data.source=GB1", "model.name=ridge")


@pytest.fixture
def there(served, monkeypatch):  # noqa: F811
    """Runs `proteinx` with PROTEINX_MASTER set, and returns its output."""
    monkeypatch.setenv("PROTEINX_MASTER", served)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, list(words))
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_a_job_is_submitted_listed_shown_moved_and_cancelled(there, master) -> None:  # noqa: F811
    job = json.loads(there("submit", *RIDGE, "--id", "first", "--json"))
    assert (job["state"], job["experiment_id"]) == ("WAITING", "first")
    second = json.loads(there("submit", "--template", "baseline", "data.source=GFP", "--json"))
    assert second["flags"]["split"]["folds"] == 5
    assert "place 1" in there("job", "move", second["job_id"], "--before", "first")
    assert "is HELD" in there("job", "hold", "first")
    assert "is WAITING" in there("job", "release", "first")
    assert [each["job_id"] for each in json.loads(there("list", "--where", "source=GB1", "--json"))] == [
        job["job_id"]
    ]
    assert second["job_id"] in there("list")
    assert json.loads(there("show", "first", "--json"))["job_id"] == job["job_id"]
    assert "is CANCELLED" in there("cancel", "first")
    assert "tries first again" in there("job", "retry", "first")
    assert "works on" in there("job", "clone", "first", "split.folds=5")
    assert "paused" in there("job", "pause")
    assert "runs" in there("job", "resume")
    values = {"state": "FAILED", "error_code": "stage_failed", "error_message": "No."}
    master.database.write(
        lambda c: c.execute(update(jobs).where(jobs.c.job_id == second["job_id"]).values(**values))
    )
    assert "stage_failed: No." in there("result", second["job_id"], code=1)


def test_what_a_change_would_compute_is_told_by_the_master(there, master) -> None:  # noqa: F811
    job = json.loads(there("submit", *RIDGE, "--id", "first", "--json"))["job_id"]
    master.database.write(lambda c: c.execute(update(jobs).values(state="SUCCEEDED")))
    found = json.loads(there("plan", *RIDGE, "split.seed=3", "--id", "first", "--json"))
    assert (found["compared_with"], found["to_compute"]) == (job, ["split", "train", "evaluate"])
    told = there("plan", *RIDGE)
    assert f"Compared with {job}." in told
    assert "Nothing would be computed." in told
    assert "--payload" in there("plan", *RIDGE, "--payload", "x.csv", code=2)


def test_a_template_that_is_a_sweep_is_sent_as_a_group(there) -> None:
    """Its nine experiments were one: the flags that all of them share."""
    unit = json.loads(there("submit", "--template", "sweep", "data.source=GB1", "--group", "nine", "--json"))
    assert (unit["state"], unit["counts"]["total"], len(unit["jobs"])) == ("SUBMITTED", 9, 9)
    assert {job["flags"]["model"]["name"] for job in unit["jobs"]} == {"ridge", "gp", "boosting"}
    told = there("submit", "--template", "sweep", "data.source=GB1", "split.folds=3", "--priority", "2")
    assert "9 experiments wait as" in told
    assert "in the group 'sweep'" in told
    assert "experiment 0: `split.folds`" in there(
        "submit", "--template", "sweep", "data.source=GB1", "split.folds=x", code=1
    )
    assert "whose ids are made" in there(
        "submit", "--template", "sweep", "data.source=G", "--id", "a", code=2
    )


def test_a_sweep_of_ones_own_is_sent_from_the_command_line(there, tmp_path) -> None:
    own = ("data.source=GB1", "split.method=random")
    unit = json.loads(
        there("sweep", *own, "--over", "split.seed=0,1,2", "--over", "model.name=ridge,gp", "--json")
    )
    assert unit["definition"]["grid"] == {"split.seed": [0, 1, 2], "model.name": ["ridge", "gp"]}
    found = {(job["flags"]["split"]["seed"], job["flags"]["model"]["name"]) for job in unit["jobs"]}
    assert found == {(seed, name) for seed in (0, 1, 2) for name in ("ridge", "gp")}
    listed = there("sweep", *own, "--over", "data.mutations=[1, 2]", "--over", "split.seed=4", code=1)
    assert "experiment 0: `data.mutations`" in listed
    file = tmp_path / "unit.json"
    file.write_text('{"flags": {"model.name": "ridge"}, "draw": {"split.seed": {"choices": [7]}}, "n": 2}')
    drawn = json.loads(
        there("sweep", *own, "--unit", str(file), "--group", "rates", "--priority", "3", "--json")
    )
    assert [(job["flags"]["split"]["seed"], job["priority"]) for job in drawn["jobs"]] == [(7, 3)] * 2
    assert "in the group 'sweep'" in there("sweep", "--template", "sweep", "data.source=GB1")
    assert "give one of `grid`" in there("sweep", *own, "--unit", str(file), "--over", "split.seed=1", code=1)
    assert "Nothing varies" in there("sweep", *own, code=2)
    file.write_text('{"n": 1, "n": 2}')
    assert "`n`" in there("sweep", *own, "--unit", str(file), code=2)
    file.write_text("[1]")
    assert "--unit" in there("sweep", *own, "--unit", str(file), code=2)


def test_a_sweep_without_a_master_is_told_where_to_send_it(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROTEINX_MASTER", raising=False)
    done = CliRunner().invoke(main, ["submit", "--template", "sweep", "data.source=GB1"])
    assert done.exit_code == 1
    assert "start one with `proteinx up`, or name one with --master" in done.output


def test_a_refusal_is_said_in_the_masters_words(there) -> None:
    assert "did you mean" in there("submit", "--template", "baselin", "data.source=GB1", code=1).lower()
    assert "no job and no experiment 'nothing'" in there("cancel", "nothing", code=1)
    assert "METRIC>NUMBER" in there("list", "--where", "nonsense", code=2)


def test_what_a_job_brings_is_letters_and_forges_no_line(there, master) -> None:  # noqa: F811
    """A source called `[/x]` ended `list` for everybody, `[link=...]` became a link, a line break another line."""
    job = json.loads(there("submit", f"data.source={BOTH}", f"ext.note={BOTH}", "--id", "evil", "--json"))
    values = {
        "reason": BOTH,
        "note": BOTH,
        "error_code": "stage_failed",
        "error_message": BOTH,
        "stage": BOTH,
    }
    for words in (("list",), ("show", "evil"), ("job", "queue")):
        assert_is_letters(there(*words))
    master.database.write(
        lambda c: c.execute(
            update(jobs).where(jobs.c.job_id == job["job_id"]).values(**values, state="FAILED")
        )
    )
    for words, code in (
        (("list",), 0),
        (("show", "evil"), 0),
        (("result", "evil"), 1),
        (("cancel", "evil"), None),
    ):
        done = CliRunner().invoke(main, list(words))
        assert code is None or done.exit_code == code
        assert_is_letters(done.output)
