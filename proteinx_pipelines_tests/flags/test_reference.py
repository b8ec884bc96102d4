import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.flags import flags as flags_command
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reference import flags_schema, markdown
from proteinx_pipelines.flags.schema import known_flags, locate
from proteinx_pipelines.flags.spelling import SYNONYMS, suggestions
from proteinx_pipelines.pipeline.stages import readers_of_groups

PAGE = Path(__file__).parents[2] / "docs" / "flags.md"


def test_the_page_in_the_repository_is_the_generated_one():
    """If not: `proteinx flags --markdown > docs/flags.md`."""
    assert PAGE.read_text(encoding="utf-8") == markdown(readers_of_groups())


@pytest.mark.parametrize("flag", known_flags(), ids=lambda flag: flag.dotted)
def test_every_flag_says_what_it_means(flag):
    assert len(flag.meaning) > 10
    assert flag.meaning.endswith((".", "?", ")"))


def test_every_group_is_read_by_a_stage_or_by_the_node():
    assert {group for group, stages in readers_of_groups().items() if not stages} == {"run", "ext"}


def test_the_defaults_on_the_page_are_those_that_hold():
    tree = parse_flags({"data.source": "GB1"}).nested()
    for flag in known_flags():
        if not flag.required and flag.group != "trainer":
            assert flag.schema["default"] == tree[flag.group][flag.name], flag.dotted


def test_the_schema_refuses_unknown_names_and_knows_the_alias():
    schema = flags_schema()
    assert schema["additionalProperties"] is False
    assert "$ref" not in json.dumps(schema)
    assert schema["properties"]["train"]["properties"]["lr"]["exclusiveMinimum"] == 0
    assert schema["properties"]["data"]["properties"]["split"]["anyOf"][0]["enum"][0] == "random"
    assert "split" not in locate(("data",))[1]["properties"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("train.learnin_rate", "train.lr"),
        ("train.learning_rate", "train.lr"),
        ("learning_rate", "train.lr"),
        ("model.lr", "train.lr"),
        ("epochs", "train.max_epochs"),
        ("train.epochs", "train.max_epochs"),
        ("train.max_epoch", "train.max_epochs"),
        ("train.batchsize", "train.batch_size"),
        ("embeding.name", "embedding.name"),
        ("split.fold", "split.folds"),
        ("data.mutnum", "data.mut_num"),
        ("data.mut_num.maximum", "data.mut_num.max"),
        ("trainer.acelerator", "trainer.accelerator"),
        ("run.timeout", "run.timeout_s"),
        ("evaluat", "evaluate"),
        ("Train.LR", "train.lr"),
    ],
)
def test_a_misspelt_name_suggests_the_flag_that_was_meant(name, meant):
    assert meant in suggestions(tuple(name.split(".")))


def test_a_word_that_many_groups_have_suggests_each():
    assert suggestions(("seed",)) == ("data.seed", "split.seed", "train.seed")


@pytest.mark.parametrize("name", ["qqqqqqqq", "x" * 5000, "", "..."])
def test_a_name_like_nothing_suggests_nothing(name):
    assert suggestions((name,)) == ()


def test_synonyms_lead_to_flags_and_are_none_themselves():
    known = {flag.dotted for flag in known_flags()}
    assert set(SYNONYMS.values()) <= known
    assert not set(SYNONYMS) & {name.split(".")[1] for name in known}


def test_the_command_prints_the_table_the_page_and_the_schema():
    run = CliRunner().invoke
    table = run(flags_command, ["train", "run"], env={"COLUMNS": "200"})
    assert table.exit_code == 0, table.output
    assert "train.lr" in table.output
    assert "data.source" not in table.output
    assert run(flags_command, ["--markdown"]).output == markdown(readers_of_groups())
    assert json.loads(run(flags_command, ["--schema"]).output) == flags_schema()


def test_the_command_refuses_an_unknown_group_and_two_outputs():
    run = CliRunner().invoke
    assert "trian is not a flag group; the groups are data, " in run(flags_command, ["trian"]).output
    assert run(flags_command, ["--schema", "--markdown"]).exit_code == 2
