"""A second attempt, and a replay: stages finished by the first one count as computed, and its training is continued."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import Cancelled, ProteinxError, TrainingDiverged
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import stages_of
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings

STAGES = always_made()

EPOCHS = 6
TRAINED = {
    "data.source": "TOY", "evaluate.bootstrap": 0, "evaluate.plots": False, "model.name": "mlp",
    "train.max_epochs": EPOCHS, "train.patience": None,
}  # fmt: skip
BEHIND = {f"{stage}": "computed" for stage in STAGES}


def run(settings: Settings, experiment_id: str = "a", *, generation: int = 1, number: int = 1,
        stop: ProteinxError | None = None, **changes: Any) -> list[int]:  # fmt: skip
    """All six stages, stopped before the last epoch if `stop` is given; the epochs that were trained."""
    flags = parse_flags({**TRAINED, **changes})
    attempt = Attempt(settings, experiment_id, flags, generation=generation, number=number)
    metric, epochs = attempt.monitor.metric, []

    def note(name: str, value: float, **where: Any) -> None:
        metric(name, value, **where)
        if name == "train/loss" and where.get("epoch") is not None:
            epochs.append(where["epoch"])
            if stop is not None and where["epoch"] == EPOCHS - 1:
                raise stop

    attempt.monitor.metric = note  # type: ignore[method-assign]
    try:
        for name in STAGES:
            attempt.publish(attempt.run_stage(name, attempt.record))
    except ProteinxError as error:
        if error is not stop:
            raise
    finally:
        attempt.close()
    return sorted(set(epochs))


def weights(settings: Settings, experiment_id: str) -> dict[str, bytes]:
    """The exported model's files."""
    folder = ExperimentDir(settings.experiments_dir, experiment_id).model_dir
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


ALL = list(range(EPOCHS))


@pytest.mark.slow
def test_a_replay_continues_from_the_last_checkpoint_and_ends_the_same(settings: Settings) -> None:
    """It used to begin anew: checkpoints were inherited within a generation only."""
    assert run(settings, stop=Cancelled("enough")) == ALL
    assert run(settings, generation=2) == [EPOCHS - 1]
    (settings.workdir / "store").rename(settings.workdir / "gone")
    assert run(settings, "b") == ALL
    assert weights(settings, "a") == weights(settings, "b")


@pytest.mark.slow
@pytest.mark.parametrize("inherits", [True, False], ids=["as shipped", "guard off"])
def test_a_second_attempt_goes_on_and_without_what_it_inherits_begins_its_training_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, inherits: bool
) -> None:
    """With real kills, on a node: `chaos/test_killed_trainings`."""
    run(settings, stop=Cancelled("enough"))
    if not inherits:
        monkeypatch.setattr(
            "proteinx_pipelines.execution.stage_context.inherit_training", lambda *_, **__: False
        )
    assert run(settings, number=2) == ([EPOCHS - 1] if inherits else ALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "changes"),
    [
        (TrainingDiverged("the loss is not finite"), {}),
        (Cancelled("enough"), {"train.lr": 0.02}),
        (Cancelled("enough"), {"split.seed": 7}),
        (Cancelled("enough"), {"run.resume": False}),
    ],
    ids=["bad input", "another learning rate", "another split", "all anew"],
)
def test_what_is_not_the_same_training_begins_anew(
    settings: Settings, stop: ProteinxError, changes: dict[str, Any]
) -> None:
    run(settings, stop=stop)
    assert run(settings, generation=2, **changes) == ALL


@pytest.mark.slow
def test_without_its_key_the_checkpoint_of_another_training_would_be_continued(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard off: every training has the same key."""
    monkeypatch.setattr("proteinx_pipelines.execution.staging._key_of", lambda staging: KEYS.get("now"))
    write = "proteinx_pipelines.execution.staging.write_json"
    monkeypatch.setattr(write, lambda _path, document: KEYS.update(now=document["key"]))
    run(settings, stop=Cancelled("enough"))
    assert run(settings, generation=2, **{"train.lr": 0.02}) == [EPOCHS - 1]


KEYS: dict[str, str] = {}


# ---------------------------------------------------------------------- what the Master is told
@pytest.fixture
def begin(settings: Settings) -> Callable[[], tuple[Ledger, Attempt]]:
    """Begin the next attempt at a generation that is in `state.db`."""
    state = Ledger(settings.state_path)

    def begin() -> tuple[Ledger, Attempt]:
        current = state.latest("a")
        if current is None:
            accept(state, 1)
        elif current.is_terminal:
            accept(state, current.generation + 1)
        else:
            state.retry(current, delay_s=0, reason="its process is gone", counts=False)
        current = state.latest("a")
        assert current is not None
        token = state.begin(
            "a", current.generation, current.attempt, run_id=f"run-{current.run_key}", host_pid=1, timeout_s=None
        )  # fmt: skip
        flags = parse_flags({**TRAINED, "model.name": "ridge"})
        attempt = Attempt(
            settings, "a", flags, generation=current.generation, number=current.attempt, state=state, token=token
        )  # fmt: skip
        return state, attempt

    return begin


def accept(state: Ledger, generation: int) -> None:
    state.accept(
        experiment_id="a", message_key=f"m{generation}", message_id=None,
        priority=0, payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip


def told(settings: Settings, state: Ledger) -> dict[str, str]:
    current = state.latest("a")
    assert current is not None
    return stages_of(settings, current)


def test_what_an_earlier_attempt_computed_is_told_as_computed(
    settings: Settings, begin: Callable[[], tuple[Ledger, Attempt]]
) -> None:
    """The second attempt finds it there: to the Master it is one execution, and nothing of it was there before."""
    _, first = begin()
    for name in STAGES[:4]:
        first.publish(first.run_stage(name, first.record))
    first.close()
    state, second = begin()
    for name in STAGES:
        second.publish(second.run_stage(name, second.record))
    second.close()
    assert told(settings, state) == BEHIND
    document = json.loads((settings.experiments_dir / "a" / "config" / "pipeline.json").read_text("utf-8"))
    assert {name: entry["action"] for name, entry in document["stages"].items()} == BEHIND


def test_a_stage_published_by_an_attempt_that_died_before_it_said_so_is_told_as_computed(
    settings: Settings, begin: Callable[[], tuple[Ledger, Attempt]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, first = begin()
    with monkeypatch.context() as dying:
        dying.setattr(Ledger, "note_stage", lambda *_: None)
        first.publish(first.run_stage("selection", first.record))
    first.close()
    plan = {stage: {"action": "reused" if stage == "selection" else "computed"} for stage in STAGES}
    state, second = begin()
    state.planned("a", 1, plan)  # made after the first attempt: it saw the selection
    assert told(settings, state)["selection"] == "computed"
    second.close()


def test_what_an_earlier_attempt_took_is_told_as_taken(
    settings: Settings, begin: Callable[[], tuple[Ledger, Attempt]]
) -> None:
    run(settings, "other", **{"model.name": "ridge"})
    for _ in range(2):
        state, attempt = begin()
        for name in STAGES[:2]:
            attempt.publish(attempt.run_stage(name, attempt.record))
        attempt.close()
    assert told(settings, state) == {"selection": "taken", "transform": "taken"}


def test_the_next_generation_says_reused(
    settings: Settings, begin: Callable[[], tuple[Ledger, Attempt]], tmp_path: Path
) -> None:
    state, first = begin()
    first.publish(first.run_stage("selection", first.record))
    first.close()
    with state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lives SET state = 'FAILED'")
    state, second = begin()
    second.publish(second.run_stage("selection", second.record))
    second.close()
    assert told(settings, state) == {"selection": "reused"}
