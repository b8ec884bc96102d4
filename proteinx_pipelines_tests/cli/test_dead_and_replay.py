"""What was given up: listed, explained in a bundle without secrets, and run again from the stage that failed."""

import json

from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.queue.queue import connect

FAILED = Outcome(
    "FAILED", "stage_failed", "Cannot read redis://u:canary-77aa@host/0", "Traceback ... canary-88bb"
)


def test_what_was_given_up_is_listed_with_its_bundle(proteinx, history, settings) -> None:
    history.end("bad", FAILED)
    history.end("good")
    (row,) = json.loads(proteinx("dead", "--json").output)
    assert (row["experiment_id"], row["error_code"], row["attempts"]) == ("bad", "stage_failed", 1)
    bundle = json.loads((settings.workdir / "failures" / "bad-g1.json").read_text(encoding="utf-8"))
    assert row["bundle"].endswith("bad-g1.json")
    assert bundle["flags"]["data"]["source"] == ["GB1"]
    assert bundle["seeds"]["split.seed"] == 0
    assert [step["state"] for step in bundle["transitions"]] == ["PENDING", "RUNNING", "FAILED"]
    assert {"torch", "python"} <= bundle["versions"].keys()
    assert bundle["again"] == "proteinx replay bad"


def test_no_secret_reaches_result_bundle_or_database(proteinx, history, settings, monkeypatch) -> None:
    monkeypatch.setenv("MASTER_API_KEY", "canary-88bb")
    history.end("bad", FAILED)
    written = [settings.workdir / "failures" / "bad-g1.json", settings.state_path]
    sent = connect(settings.redis_url).lrange("experiments:results", 0, -1)
    for content in (*(path.read_bytes() for path in written), *sent, proteinx("dead").output.encode()):
        assert b"canary" not in content
        assert b"***" in content


def test_a_replay_is_a_new_generation_with_the_same_flags(proteinx, history, settings) -> None:
    failed = history.end("bad", FAILED)
    proteinx("replay", "bad")
    assert history.intake.take_waiting() == 1
    again = history.state.latest("bad")
    assert (again.generation, again.state) == (2, "PENDING")
    assert again.flags["run"] == {**failed.flags["run"], "allow_duplicate": True, "resume": True}
    assert {name: again.flags[name] for name in again.flags if name != "run"} == {
        name: failed.flags[name] for name in failed.flags if name != "run"
    }


def test_the_same_failure_replayed_twice_is_one_replay(proteinx, history) -> None:
    history.end("bad", FAILED)
    proteinx("replay", "bad")
    proteinx("replay", "bad")
    history.intake.take_waiting()
    assert history.state.latest("bad").generation == 2


def test_what_succeeded_is_not_replayed(proteinx, history) -> None:
    history.end("good")
    assert "run.resume=false" in proteinx("replay", "good", expect=1).output
