"""The rows of the pipeline agree with one another, with the flags and with the code that computes."""

import ast

import pytest

from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.stages import STAGES, Stage, count, value_of
from proteinx_pipelines_tests.test_layers import FILES, module_name

ROWS = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


@ROWS
def test_a_stage_reads_views_of_stages_before_it(stage: Stage) -> None:
    before = list(STAGES)[: list(STAGES).index(stage.name)]
    for source, view in stage.reads.items():
        assert source in before
        assert view in STAGES[source].views


@ROWS
def test_the_code_of_a_stage_gives_what_its_row_promises(stage: Stage) -> None:
    code = COMPUTATIONS[stage.name]
    assert {"all", *code.views} == set(stage.views)
    assert tuple(code.own_inputs) == stage.own_inputs
    assert code.version


@ROWS
def test_the_flags_of_a_row_are_there(stage: Stage) -> None:
    assert set(stage.flag_groups) <= set(ExperimentFlags.model_fields)
    for name in (*stage.file_flags, *stage.plugin_flags):
        assert name.split(".")[0] in stage.flag_groups or name in stage.single_flags
        value_of(parse_flags({"data.source": "GB1"}), name)


def test_every_row_has_its_code_and_no_code_is_without_a_row() -> None:
    assert list(COMPUTATIONS) == list(STAGES)


def test_numbers_of_a_list_are_added_up_and_a_missing_one_is_none() -> None:
    report = {"split": {"sizes": [{"train": 3}, {"train": 4}]}, "data": {"n_variants": 7}}
    assert count(report, "split.sizes.train") == 7
    assert count(report, "data.n_variants") == 7
    assert count({}, "data.n_variants") is None
    assert count({"split": {"sizes": []}}, "split.sizes.train") is None


WITHOUT_OTHER_MEANING = {"selection", "transform", "embedding", "evaluate"}
"""Names of stages that mean nothing else: `split` and `train` are also parts and words."""
LOOKS_AT_ROWS = ("pipeline", "contract", "services", "execution", "node", "defs", "cli", "experiment")


def test_nobody_asks_whether_a_stage_is_a_certain_one() -> None:
    """What is special of a stage is a field of its row: an `if` on its name is one place that a new stage misses."""
    wrong = []
    for path in FILES:
        if module_name(path).split(".")[0] in LOOKS_AT_ROWS:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare) and WITHOUT_OTHER_MEANING & set(_texts(node)):
                    wrong.append(f"{module_name(path)}, line {node.lineno}: {ast.unparse(node)}")
    assert wrong == []


def _texts(node: ast.AST) -> list[str]:
    return [
        found.value
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    ]
