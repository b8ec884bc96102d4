"""The recompute rule as a pure function: what runs, what does not, and the reason in words."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.execution.stages import versions
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline import stages as rows_of
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.pipeline.plan import (
    COMPUTED,
    REUSED,
    TAKEN,
    Plan,
    input_digests,
    make_plan,
    stage_key,
)
from proteinx_pipelines.pipeline.stages import always_made, stages_of

STAGES = always_made()

VERSIONS = versions()
ROWS = {"rows": "r" * 64}
VIEWS = ("all", "rows", "sequences", "targets")


def flags(**changes: Any) -> ExperimentFlags:
    return parse_flags({"data.source": "GB1", **changes})


def finished(of: ExperimentFlags, rows: Mapping[str, str] = ROWS) -> PipelineFile:
    """What an experiment with these flags leaves behind, with digests that follow from the keys."""
    pipeline = PipelineFile(generation=1)
    for stage in stages_of(of):
        inputs = dict(rows) if stage.own_inputs else input_digests(stage, pipeline.stages, lambda _stage: {})
        assert inputs is not None
        key = stage_key(stage, VERSIONS[stage.name], of, inputs)
        digests = {view: f"{view} of {key}" for view in VIEWS}
        entry = StageEntry(
            key=key, version=VERSIONS[stage.name], flags=stage.document(of), inputs=inputs, digests=digests,
            files={}, action=COMPUTED, origin={"experiment_id": "first", "generation": 1},
        )  # fmt: skip
        pipeline = pipeline.with_stage(stage.name, entry)
    return pipeline


def plan(new: ExperimentFlags, before: PipelineFile, rows: Mapping[str, str] | None = ROWS) -> Plan:
    return make_plan(
        new, before, versions=VERSIONS, rows=rows, lookup=lambda _stage, _key: None, resume=new.run.resume
    )


def test_nothing_changed_computes_nothing() -> None:
    assert plan(flags(), finished(flags())).to_compute == ()


@pytest.mark.parametrize(
    ("name", "value", "first"),
    [
        ("data.limit", 50, "selection"),
        ("transform.target", "negate", "transform"),
        ("embedding.also", ["scales"], "embedding"),
        ("split.method", "modulo", "split"),
        ("split.seed", 5, "split"),
        ("model.alpha", 2.5, "train"),
        ("train.target", "rank", "train"),
        ("evaluate.bootstrap", 10, "evaluate"),
    ],
)
def test_a_changed_flag_runs_its_stage_and_those_behind_it(name: str, value: Any, first: str) -> None:
    found = plan(flags(**{name: value}), finished(flags()))
    behind = {"embedding": ("embedding", "train", "evaluate")}.get(first, STAGES[STAGES.index(first) :])
    assert found.to_compute == tuple(behind)


@pytest.mark.parametrize(
    ("name", "value"),
    [("train.lr", 0.5), ("trainer.accumulate_grad_batches", 2), ("embedding.pooling", "bos")],
)
def test_flags_that_nothing_reads_with_this_model_run_nothing(name: str, value: Any) -> None:
    assert plan(flags(**{name: value}), finished(flags())).to_compute == ()


@pytest.mark.parametrize(("name", "value"), [("run.retries", 3), ("run.timeout_s", 5.0), ("ext.note", "x")])
def test_flags_that_no_stage_reads_run_nothing(name: str, value: Any) -> None:
    assert plan(flags(**{name: value}), finished(flags())).to_compute == ()


def test_the_reason_is_in_words() -> None:
    found = plan(flags(**{"split.method": "modulo"}), finished(flags()))
    reasons = {planned.stage: planned.reason for planned in found.stages}
    assert reasons["split"] == "`split.method` changed from random to modulo"
    assert reasons["selection"] == "nothing it depends on has changed"


def test_a_selection_whose_rows_are_unknown_is_run() -> None:
    assert plan(flags(), finished(flags()), rows=None).to_compute == STAGES


def test_resume_false_computes_everything() -> None:
    assert plan(flags(**{"run.resume": False}), finished(flags())).to_compute == STAGES


def test_another_experiments_stages_are_taken() -> None:
    """New id, same data: everything up to the split is there already."""
    there = finished(flags())
    keys = {(name, entry.key): entry for name, entry in there.stages.items()}
    found = make_plan(
        flags(**{"split.seed": 9}),
        PipelineFile(),
        versions=VERSIONS,
        rows=ROWS,
        lookup=lambda s, k: keys.get((s, k)),
        resume=True,
    )
    assert [planned.action for planned in found.stages] == [TAKEN, TAKEN, TAKEN, COMPUTED, COMPUTED, COMPUTED]


def test_spelling_and_written_out_defaults_give_the_same_keys() -> None:
    plain = parse_flags('{"data": {"source": "GB1"}, "train": {"lr": 1e-3}}')
    spelled = parse_flags(
        '{"train.lr": 0.0010, "data": {"source": ["GB1"], "limit": null}, "split": {"seed": 0}}'
    )
    assert [entry.key for entry in finished(plain).stages.values()] == [
        entry.key for entry in finished(spelled).stages.values()
    ]


@given(st.floats(1e-6, 1e3, allow_nan=False), st.floats(1e-6, 1e3, allow_nan=False))
def test_keys_are_equal_exactly_when_the_flag_is(one: float, other: float) -> None:
    stage = rows_of.STAGES["train"]
    keys = {stage_key(stage, "1", flags(**{"model.alpha": value}), {"x": "y"}) for value in (one, other)}
    assert (len(keys) == 1) == (one == other)


def test_a_new_code_version_runs_the_stage_again() -> None:
    before = finished(flags())
    old = before.stages["split"]
    aged = before.with_stage("split", StageEntry(**{**vars_of(old), "version": "0", "key": "old"}))
    found = plan(flags(), aged)
    assert found.stages[3].action == COMPUTED
    assert found.stages[3].reason == f"code version changed from 0 to {VERSIONS['split']}"
    assert found.stages[2].action == REUSED


def vars_of(entry: StageEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in StageEntry.__dataclass_fields__}
