"""Attempts over real stages on a small catalog: reuse, early cut-off, fences, and untouched files."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import CorruptArtifact, InputChanged, Superseded
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog

STAGES = always_made()

QUICK = {"data.source": "TOY", "evaluate.bootstrap": 0, "evaluate.plots": False}


def run(settings: Settings, experiment_id: str, **changes: Any) -> dict[str, str]:
    """All six stages, as a script would; what happened to each."""
    before = read_pipeline(ExperimentDir(settings.experiments_dir, experiment_id).pipeline)
    flags = parse_flags({**QUICK, **changes})
    attempt = Attempt(settings, experiment_id, flags, generation=before.generation + 1)
    try:
        return {name: attempt.publish(attempt.run_stage(name, attempt.record)).action for name in STAGES}
    finally:
        attempt.close()


def stamps(settings: Settings, experiment_id: str) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every result file."""
    root = settings.experiments_dir / experiment_id
    found = {}
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name not in ("config", "logs", "events", "metrics"):
            found[path.relative_to(root).as_posix()] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def test_a_changed_split_leaves_the_files_before_it_alone(settings: Settings) -> None:
    run(settings, "a")
    before = stamps(settings, "a")
    actions = run(settings, "a", **{"split.seed": 3})
    assert [name for name, action in actions.items() if action == "computed"] == [
        "split",
        "train",
        "evaluate",
    ]
    after = stamps(settings, "a")
    untouched = [name for name in before if name.split("/")[0] in ("data", "embeddings")]
    assert untouched
    assert all(before[name] == after[name] for name in untouched)


def test_a_changed_target_does_not_embed_again(settings: Settings) -> None:
    """Early cut-off: the sequences are the same, so the embedding's key is."""
    run(settings, "a")
    actions = run(settings, "a", **{"transform.target": "negate"})
    assert actions["transform"] == "computed"
    assert actions["embedding"] == "reused"
    assert actions["train"] == "computed"


def test_a_second_experiment_takes_what_the_first_computed(settings: Settings) -> None:
    run(settings, "a")
    actions = run(settings, "b", **{"model.alpha": 3.0})
    assert actions == {
        "selection": "taken", "transform": "taken", "embedding": "taken", "split": "taken", "train": "computed",
        "evaluate": "computed",
    }  # fmt: skip


def test_once_a_selection_was_made_the_plan_asks_the_database_nothing(settings: Settings) -> None:
    run(settings, "a")
    planned = plan_experiment(settings, "b", parse_flags({**QUICK, "split.seed": 4}), None)
    assert planned.to_compute == ("split", "train", "evaluate")
    assert planned.stages[0].action == "taken"


def test_a_database_that_was_written_to_is_asked_again(settings: Settings) -> None:
    run(settings, "a")
    with sqlite3.connect(settings.database_path) as connection:
        connection.execute("UPDATE mutations SET DMS_score = DMS_score + 1 WHERE id = 1")
    planned = plan_experiment(settings, "a", parse_flags(QUICK), None)
    assert planned.to_compute == STAGES
    assert run(settings, "a")["transform"] == "computed"


def test_a_written_database_with_the_same_rows_recomputes_nothing_behind_the_selection(
    settings: Settings,
) -> None:
    run(settings, "a")
    with sqlite3.connect(settings.database_path) as connection:
        connection.execute("INSERT INTO sources VALUES (2, 'OTHER', 'MKV')")
    actions = run(settings, "a")
    assert set(actions.values()) == {"reused"}


def test_other_conditions_that_choose_the_same_rows_only_write_the_report_again(settings: Settings) -> None:
    """The report prints the flags: it must not show those of another query."""
    run(settings, "a")
    actions = run(settings, "a", **{"data.mut_num": {"max": 99}})
    assert [name for name, action in actions.items() if action == "computed"] == ["selection", "evaluate"]


def split_file(settings: Settings) -> tuple[dict[str, str], Callable[[int], None]]:
    """The flags that name a split file, and what writes it with so many training rows."""
    file = settings.workdir / "split.csv"
    with sqlite3.connect(settings.database_path) as connection:
        mutants = [mutant for (mutant,) in connection.execute("SELECT mutant FROM mutations ORDER BY id")]

    def write(n_train: int) -> None:
        lines = [f"{mutant},{'train' if k < n_train else 'test'}" for k, mutant in enumerate(mutants)]
        file.write_text("\n".join(["mutant,part", *lines]), encoding="utf-8")

    return {"split.method": "file", "split.path": str(file), "split.column": "part"}, write


def test_an_edited_split_file_is_another_split(settings: Settings, tmp_path: Path) -> None:
    flags, write = split_file(settings)

    write(100)
    run(settings, "a", **flags)
    assert run(settings, "a", **flags)["split"] == "reused"
    write(120)
    assert run(settings, "a", **flags)["split"] == "computed"


@pytest.mark.parametrize("model", ["ridge", "mlp"])
@pytest.mark.slow
def test_two_fresh_workdirs_give_the_same_bytes(settings: Settings, tmp_path: Path, model: str) -> None:
    other = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "other")}, tmp_path)
    other.workdir.mkdir()
    write_catalog(other.database_path)
    few_epochs = {"model.name": model, "train.max_epochs": 3, "model.dropout": 0.1}
    summaries = []
    for each in (settings, other):
        run(each, "a", **few_epochs)
        summaries.append(read_json(ExperimentDir(each.experiments_dir, "a").report_json)["summary"])
    found = [ExperimentDir(each.experiments_dir, "a").predictions.read_bytes() for each in (settings, other)]
    assert found[0] == found[1]
    assert summaries[0] == summaries[1]


def test_a_flipped_byte_in_the_store_is_noticed_and_computed_again(settings: Settings) -> None:
    run(settings, "a")
    stored = next((settings.workdir / "store" / "embedding").rglob("embeddings.safetensors"))
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.unlink()  # the stored file is a link: write a file of its own, so that experiment a keeps its bytes
    stored.write_bytes(bytes(content))
    actions = run(settings, "b")
    assert actions["transform"] == "taken"
    assert actions["embedding"] == "computed"
    assert list((settings.workdir / "store" / "quarantine").iterdir())


def test_a_planned_stage_that_is_damaged_stops_the_attempt_before_it_runs(settings: Settings) -> None:
    run(settings, "a")
    planned = plan_experiment(settings, "b", parse_flags(QUICK), None)
    for stored in (settings.workdir / "store" / "split").rglob("*.json"):
        if stored.name == "train_ids.json":
            stored.unlink()
            stored.write_text("[]", encoding="utf-8")
    attempt = Attempt(settings, "b", parse_flags(QUICK))
    with pytest.raises(CorruptArtifact, match="split"):
        attempt.take_planned(planned.document())
    attempt.close()


def zombie_publishes(settings: Settings) -> None:
    """A worker that was stopped, replaced, and wakes up with its result in hand."""
    state = Ledger(settings.state_path)
    state.accept(
        experiment_id="a", message_key="m", message_id=None, priority=0,
        payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip
    token = state.begin("a", 1, 1, run_id="run", host_pid=1, timeout_s=None)
    zombie = Attempt(settings, "a", parse_flags(QUICK), state=state, token=token)
    result = zombie.run_stage("selection", zombie.record)
    current = state.latest("a")
    assert current is not None
    state.retry(current, delay_s=0, reason="the node lost it", counts=False)
    try:
        zombie.publish(result)
    finally:
        zombie.close()


def test_a_superseded_attempt_publishes_nothing(settings: Settings) -> None:
    with pytest.raises(Superseded):
        zombie_publishes(settings)
    assert not ExperimentDir(settings.experiments_dir, "a").selected.exists()


def test_without_its_fence_the_zombie_would_have_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard off: every token is taken for the current one."""
    monkeypatch.setattr(Ledger, "holds", lambda *_: True)
    zombie_publishes(settings)
    assert ExperimentDir(settings.experiments_dir, "a").selected.exists()


def test_the_pipeline_file_says_what_entered_each_key(settings: Settings) -> None:
    run(settings, "a")
    document = read_json(settings.experiments_dir / "a" / "config" / "pipeline.json")
    assert list(document["stages"]) == list(STAGES)
    assert set(document["stages"]["train"]["inputs"]) == {"transform.targets", "embedding.all", "split.all"}
    assert document["stages"]["train"]["flags"]["model"]["alpha"] == 1.0


def test_a_report_does_not_depend_on_which_stages_were_read_back_from_disk(settings: Settings) -> None:
    run(settings, "a")
    run(settings, "b", **{"evaluate.seed": 5})
    (settings.workdir / "store").rename(settings.workdir / "gone")
    run(settings, "b")  # only evaluate runs: all it reads comes from files
    found = [ExperimentDir(settings.experiments_dir, name).report_json.read_bytes() for name in "ab"]
    assert found[0] == found[1]


def test_a_known_selection_is_not_queried_again_by_hand_either(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proteinx_pipelines.stages import selection

    run(settings, "a")

    def queried(*_: Any) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(selection, "select_variants", queried)
    assert run(settings, "a", **{"split.seed": 1})["selection"] == "reused"
    assert run(settings, "b", **{"split.seed": 2})["selection"] == "taken"


def test_an_edited_template_beside_a_payload_is_another_selection(settings: Settings) -> None:
    """Only the CSV was looked at: the whole experiment with the wrong template was handed out again."""
    payload = settings.workdir / "my.csv"
    payload.write_text(
        "mutant,DMS_score\n" + "".join(f"M1{a},0.{k}\n" for k, a in enumerate("ACDEF")), "utf-8"
    )
    flags = parse_flags({**QUICK, "data.source": "my"})
    found = []
    for generation, template in enumerate(("MQYKLILNGK", "MQYKLILNGE"), start=1):
        payload.with_suffix(".json").write_text(json.dumps({"template": template}), encoding="utf-8")
        planned = plan_experiment(settings, "a", flags, str(payload))
        assert planned.to_compute == STAGES
        attempt = Attempt(settings, "a", flags, generation=generation, payload_ref=str(payload))
        for name in STAGES[:2]:
            attempt.publish(attempt.run_stage(name, attempt.record))
        found.append(attempt.record("selection").templates["my"])
        attempt.close()
        assert plan_experiment(settings, "a", flags, str(payload)).stages[1].action == "reused"
    assert found == ["MQYKLILNGK", "MQYKLILNGE"]


def test_a_file_that_changes_while_a_stage_reads_it_leaves_nothing_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store got the result of the old file under the key of the new one, for all experiments."""
    from proteinx_pipelines.stages.split import assign

    flags, write = split_file(settings)

    def replaced(*given: Any, **named: Any) -> Any:
        found = read(*given, **named)
        write(120)
        return found

    write(100)
    read = assign.assign_split
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(assign, "assign_split", replaced)
        with pytest.raises(InputChanged, match=r"`split\.path` changed while the split stage read it"):
            run(settings, "a", **flags)
    assert not (settings.workdir / "store" / "split").exists()
    assert run(settings, "a", **flags)["split"] == "computed"
    ids = read_json(ExperimentDir(settings.experiments_dir, "a").splits_dir / "train_ids.json")
    assert len(ids) == 120


def test_a_damaged_memo_of_a_selection_costs_one_query(settings: Settings) -> None:
    """It was the end of every experiment with this selection."""
    run(settings, "a")
    (memo,) = (settings.workdir / "store" / "rows").iterdir()
    for text in ("", "{", "[]", "{}"):
        memo.write_text(text, encoding="utf-8")
        assert plan_experiment(settings, "a", parse_flags(QUICK), None).stages[0].action == "computed"
        assert set(run(settings, "a").values()) == {"reused"}
        assert plan_experiment(settings, "a", parse_flags(QUICK), None).to_compute == ()


def test_a_taken_training_does_not_keep_the_checkpoints_of_another(settings: Settings) -> None:
    run(settings, "a")
    directory = ExperimentDir(settings.experiments_dir, "a")
    run(settings, "a", **{"model.alpha": 3.0})
    write_json(directory.checkpoints_dir / "manifest.json", {"of": "the training with the other alpha"})
    assert run(settings, "a")["train"] == "taken"
    assert not directory.checkpoints_dir.exists()


def test_a_training_taken_because_a_file_of_it_was_lost_keeps_its_checkpoints(settings: Settings) -> None:
    run(settings, "a")
    directory = ExperimentDir(settings.experiments_dir, "a")
    write_json(directory.checkpoints_dir / "manifest.json", {"of": "this training"})
    (directory.model_dir / "training.json").unlink()
    assert run(settings, "a")["train"] == "taken"
    assert (directory.checkpoints_dir / "manifest.json").is_file()
