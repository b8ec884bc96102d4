"""The table behind "recompute only what a flag touches": every flag of the tree, and the stages whose keys it changes.

A flag is given another valid value, found from its own schema. With the digests of everything upstream unchanged, the
key of the one stage that reads it must change and no other; a plan must then contain that stage and those
behind it. `docs/flags.md` says the same to people.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.domain.embedders import ESM2_MODELS
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reading import unread
from proteinx_pipelines.flags.schema import Flag, known_flags
from proteinx_pipelines.flags.split import SPLIT_METHODS
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline import stages as rows_of
from proteinx_pipelines.pipeline.plan import make_plan, stage_key
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.pipeline.test_plan import ROWS, VERSIONS, finished

STAGES = (*always_made(), "design")

PAGE = Path(__file__).parents[2] / "docs" / "flags.md"
GROUP_STAGES = {
    "data": "selection",
    "transform": "transform",
    "embedding": "embedding",
    "split": "split",
    "model": "train",
    "train": "train",
    "trainer": "train",
    "evaluate": "evaluate",
    "design": "design",
    "run": None,
}
"""The design's table, written a second time: group -> the stage that reads it; the node reads `run`."""
OF_ANOTHER_STAGE = {"data.structure": "embedding", "data.chain": "embedding", "data.alignment": "embedding",
                    "model.tasks": "transform"}  # fmt: skip
"""Flags that the stage of their group does not read, or not first."""
BEHIND = {
    "selection": STAGES,
    "transform": STAGES[1:],
    "embedding": ("embedding", "train", "evaluate", "design"),
    "split": ("split", "train", "evaluate", "design"),
    "train": ("train", "evaluate", "design"),
    "evaluate": ("evaluate", "design"),
    "design": ("design",),
    None: (),
}
"""Stages that have to run again after a stage; split and embedding do not depend on one another."""
BESIDE: tuple[dict[str, Any], ...] = (
    {},
    {"embedding.name": ESM2_MODELS[0]},
    {"data.structure": "protein.pdb"},
    {"split.inner_folds": 3},
    *({"model.name": name} for name in ("gp", "mlp", "cnn", "finetune")),
    {"model.name": "gp", "data.properties": ["stability"]},
    {
        "model.name": "mlp",
        "train.accumulate": {"0": 4},
        "train.callbacks": ["gradient_accumulation_scheduler"],
    },
    {"embedding.name": "file", "embedding.path": "vectors.npz"},
    {"split.method": "file", "split.path": "split.csv", "split.column": "part"},
    {"design.library": "singles"},
    {"design.library": "file", "design.path": "library.csv"},
    {"design.library": "singles", "design.codons": "NNK"},
    {"design.library": "doubles", "design.acquisition": "ucb"},
    {
        "data.properties": ["stability"],
        "design.library": "singles",
        "design.goal": {"DMS_score": "maximize", "stability": "maximize"},
    },
    *({"split.method": method} for method in SPLIT_METHODS if method != "file"),
    *({"split.method": method, "split.folds": 4} for method in SPLIT_METHODS if method != "file"),
)
"""Flags beside which others are valid; the first that works is used."""
BY_HAND: dict[str, list[Any]] = {
    "data.where": [[{"column": "mut_num", "op": "<", "value": 3}]],
    "transform.derived": [["positions"]],
    "split.fractions": [[0.5, 0.25, 0.25]],
    "split.allow_leakage": [[{"check": "same_position", "reason": "measured so on purpose"}]],
    "embedding.name": ["blosum62"],
    "embedding.also": [["scales"]],
    "evaluate.metrics": [["spearman"]],
    "train.metrics": [["ndcg"]],
    "train.search": [{"model": {"alpha": [1.0, 2.0]}}],
    "train.search_metric": ["mse"],
    "train.accumulate": [{"0": 2}],
    "model.backbone": ["esm2_t12_35M_UR50D"],
    "design.allowed": [{"*": "AC"}],
    "design.weights": [{"DMS_score": 2.0}],
    "design.forbidden": [{"*": "C"}],
    "design.coding_sequence": ["ATGGCT"],
    "design.codons": ["NNK"],
    "design.positions": [[3]],
    "run.deadline": ["2030-01-01T00:00:00Z"],
    "trainer.max_time": ["00:01:00:00"],
}
"""Values of flags whose schema does not say enough to make one up."""
ALSO_READ_BY = {"transform.bins": {"train"}, "model.tasks": {"train"}}
"""Flags that a later stage reads too, although the targets may be the same."""
UNCHANGEABLE = {
    "trainer.barebones": "it is refused where it is on",
}


def candidates(schema: dict[str, Any]) -> Iterator[Any]:
    """Values that a flag of this schema may have, simple ones first."""
    for branch in schema.get("anyOf", ()):
        yield from candidates(branch)
    yield from schema.get("enum", ())
    yield from schema.get("examples", ())
    if "const" in schema:
        yield schema["const"]
    kind = schema.get("type")
    if kind == "integer":
        yield from (schema.get("minimum", 0), 1, 2, 3, 7)
    if kind == "number":
        yield from (0.25, 0.75, 1.5, 30.0)
    if kind == "string" and "enum" not in schema:
        yield "text"
    if kind == "boolean":
        yield from (True, False)
    if kind == "array" and "items" in schema:
        yield from ([item] * max(1, schema.get("minItems", 1)) for item in candidates(schema["items"]))
    if kind == "object":
        for name, inner in schema.get("properties", {}).items():
            yield from ({name: value} for value in candidates(inner))


def changed(flag: Flag) -> tuple[ExperimentFlags, ExperimentFlags]:
    """Two valid flag sets that differ in this one flag."""
    default = json.dumps(flag.schema.get("default"))
    values = BY_HAND.get(flag.dotted) or list(candidates(flag.schema))
    for beside in BESIDE:
        if flag.group == "design" and "design.library" not in beside:
            continue  # without a library there is no such stage
        document = {"data.source": "GB1", **beside}
        required = flag.required or flag.dotted in (
            "split.path",
            "split.column",
            "embedding.path",
            "design.path",
            "design.library",
        )
        before = parsed({name: value for name, value in document.items() if name != flag.dotted or required})
        for value in values if before is not None else ():
            after = parsed({**document, flag.dotted: value})
            if after is not None and flag.dotted in {**unread(after), **unread(before or after)}:
                continue  # nothing reads it beside these: see `flags.reading`
            if after is not None and after != before and json.dumps(value) != default:
                assert before is not None
                return before, after
    raise AssertionError(
        f"No valid other value of `{flag.dotted}` was found. Add one to BY_HAND, or to BESIDE the flags that "
        "it is valid beside."
    )


def parsed(document: dict[str, Any]) -> ExperimentFlags | None:
    try:
        return parse_flags(document)
    except FlagError:
        return None


def touched(before: ExperimentFlags, after: ExperimentFlags) -> set[str]:
    """Stages whose key differs when what they read has the same digests."""
    inputs = {"anything": "d" * 64}
    return {
        stage.name
        for stage in rows_of.STAGES.values()
        if stage_key(stage, "1", before, inputs) != stage_key(stage, "1", after, inputs)
    }


def stage_of(flag: Flag) -> str | None:
    return OF_ANOTHER_STAGE.get(flag.dotted, GROUP_STAGES[flag.group])


CHANGEABLE = [flag for flag in known_flags() if flag.dotted not in UNCHANGEABLE]
every_flag = pytest.mark.parametrize("flag", CHANGEABLE, ids=lambda flag: flag.dotted)


@every_flag
def test_a_flag_changes_the_key_of_its_stage_and_no_other(flag: Flag) -> None:
    stage = stage_of(flag)
    further = ALSO_READ_BY.get(flag.dotted, set())
    assert touched(*changed(flag)) == ({stage, *further} if stage else set())


@every_flag
def test_a_flag_runs_its_stage_and_those_behind_it(flag: Flag) -> None:
    before, after = changed(flag)
    plan = make_plan(
        after, finished(before), versions=VERSIONS, rows=ROWS, lookup=lambda _stage, _key: None, resume=True
    )
    wanted = [stage.name for stage in rows_of.stages_of(after)]  # `design` where its library is asked for
    assert plan.to_compute == tuple(name for name in BEHIND[stage_of(flag)] if name in wanted)


@every_flag
def test_the_reason_names_the_flag(flag: Flag) -> None:
    before, after = changed(flag)
    plan = make_plan(
        after, finished(before), versions=VERSIONS, rows=ROWS, lookup=lambda _stage, _key: None, resume=True
    )
    reasons = {planned.stage: planned.reason for planned in plan.stages}
    stage = stage_of(flag)
    assert stage is None or f"`{flag.dotted}" in reasons[stage]


@every_flag
def test_the_page_says_which_stage_reads_it(flag: Flag) -> None:
    (row,) = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{flag.dotted}` ")
    ]
    readers = row.rstrip(" |").rsplit("| ", 1)[-1]
    assert readers.split(", ")[0] == (stage_of(flag) or "node")


@every_flag
def test_a_default_that_is_written_out_changes_no_key(flag: Flag) -> None:
    before, _ = changed(flag)
    written = before.nested().get(flag.group, {}).get(flag.name, flag.schema.get("default"))
    again = parsed({**before.nested(), flag.group: {**before.nested()[flag.group], flag.name: written}})
    assert again is not None
    assert touched(before, again) == set()


def test_nothing_but_those_flags_is_left_out() -> None:
    assert {flag.dotted for flag in known_flags()} - {flag.dotted for flag in CHANGEABLE} == set(UNCHANGEABLE)
    assert {flag.group for flag in known_flags()} == set(GROUP_STAGES)


def test_the_free_group_touches_nothing() -> None:
    assert (
        touched(parse_flags({"data.source": "GB1"}), parse_flags({"data.source": "GB1", "ext": {"x": [1]}}))
        == set()
    )
