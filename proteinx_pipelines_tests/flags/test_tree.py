import json

import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from strategies import dotted_documents

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.model import NETWORKS
from proteinx_pipelines.flags.parsing import FORMS, convert, parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json, sha256_of
from proteinx_pipelines.pipeline.stages import STAGES


def test_defaults_written_out_or_left_out_and_float_spellings_are_one_document():
    short = parse_flags('{"data.source": "a", "train.lr": 1e-3, "model.alpha": 1}')
    long = parse_flags(
        '{"data": {"source": ["a"], "limit": null}, "train": {"lr": 0.0010}, "model": {"alpha": 1.0}}'
    )
    for stage in STAGES.values():
        assert sha256_of(stage.document(short)) == sha256_of(stage.document(long))


def test_a_stage_document_has_the_groups_of_the_stage_alone():
    before, after = parse_flags({"data.source": "a"}), parse_flags({"data.source": "a", "split.seed": 1})
    changed = [name for name, stage in STAGES.items() if stage.document(before) != stage.document(after)]
    assert changed == ["split"]


def test_canonical_json_is_one_text_for_one_value():
    assert canonical_json({"b": 1.0, "a": [0.5, 1e300, "é"]}) == '{"a":[0.5,1e+300,"é"],"b":1}'


@settings(max_examples=30)
@given(dotted_documents())
def test_the_key_does_not_depend_on_the_spelling(document):
    flags = parse_flags(document)
    reversed_order = parse_flags(dict(reversed(document.items())))
    for stage in STAGES.values():
        assert sha256_of(stage.document(flags)) == sha256_of(stage.document(reversed_order))


def test_flags_are_frozen():
    flags = parse_flags({"data.source": "a"})
    with pytest.raises(ValidationError):
        flags.train.lr = 1.0
    assert isinstance(flags, ExperimentFlags)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data.mut_num": {"min": 3, "max": 1}}, "`data.mut_num`: found min 3 above max 1; swap them."),
        ({"transform.clip": {"min": 0.5, "max": 0}}, "`transform.clip`: found min 0.5 above max 0; swap them."),
        (
            {"data.where": [{"column": "mutant", "op": "is null", "value": 1}]},
            "`data.where[0]`: `is null` takes no value, found 1.",
        ),
        (
            {"data.where": [{"column": "mut_num", "op": "between", "value": [1]}]},
            "`data.where[0]`: `between` takes a list of two ends, found [1].",
        ),
        (
            {"data.where": [{"column": "mut_num", "op": "in", "value": []}]},
            "`data.where[0]`: `in` takes a list of at least one value, found [].",
        ),
        (
            {"data.where": [{"column": "mutant", "op": "="}]},
            "`data.where[0]`: `=` takes one number or text, found null.",
        ),
        (
            {"data.where": [{"column": "mut_num", "op": "like", "value": "1%"}]},
            "`data.where[0]`: `like` needs text, and `mut_num` holds numbers; use `between`.",
        ),
        (
            {"data.where": [{"column": "mutant", "op": "in", "value": ["A1C", 0.5]}]},
            "`data.where[0]`: `mutant` is compared with text, found 0.5; put it in quotes.",
        ),
        (
            {"data.where": [{"column": "source", "op": "=", "value": "GB1"}]},
            '`data.where[0]`: `source` is compared with numbers, found "GB1"; use `source_text` for its name.',
        ),
        (
            {"data.where": [{"column": "id", "op": "=", "value": True}]},
            "`data.where[0]`: no column of the catalog holds true or false, found true; write a number or a text.",
        ),
        ({"data.dms_score_bin": ["1", ""]}, "`data.dms_score_bin[1]`"),
        ({"split.method": "by_source", "split.test_sources": []}, "`split.test_sources`"),
        ({"trainer.devices": "0"}, "`trainer.devices`"),
        (
            {"data.where": [{"column": "mutant", "op": "like", "value": 3}]},
            "`data.where[0]`: `like` takes a text, found 3.",
        ),
        ({"split.path": "x.csv"}, "`split.path`: belongs to `split.method` 'file', not 'random'; leave it out."),
        ({"split": {"method": "n_vs_rest", "folds": 5}}, "`split.folds`: does not go with `split.method` 'n_vs_rest'"),
        ({"split.fractions": [0, 0.5, 0.5]}, "`split.fractions`: leaves nothing to train on"),
        ({"split.fractions": [0.5, 0.5]}, "`split.fractions"),
        ({"evaluate.metrics": ["mse", "mse"]}, "`evaluate.metrics`: metric 'mse' is listed twice; list each once."),
        ({"data.where": [{"column": "id", "op": "is null"}] * 101}, "`data.where`: found 101 entries, expected"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together_are_refused(given, said):
    with pytest.raises(FlagError) as caught:
        parse_flags({"data.source": "a", **given})
    (problem,) = caught.value.problems
    assert problem.startswith(said)


@pytest.mark.parametrize(
    "given",
    [
        {"data.dms_score_bin": 1},
        {"data": {"dms_score_bin": 1}},
        {"data.dms_score_bin": "1"},
        "data.dms_score_bin=1",
        {"data.dms_score_bin": [1]},
    ],
)
def test_a_bin_of_0_or_1_is_written_as_it_stands_in_the_file(given):
    """As text `data.dms_score_bin=1` is a number, which was refused: it had to be written in two pairs of quotes."""
    text = f"data.source=a\n{given}" if isinstance(given, str) else json.dumps({"data.source": "a", **given})
    flags = parse_flags(text)
    assert flags.data.dms_score_bin == ("1",)
    for form in FORMS:
        assert parse_flags(convert(text, form)) == flags


@pytest.mark.parametrize("name", NETWORKS)
def test_flags_of_different_groups_are_refused_together_with_all_else(name):
    """A network was trained to its end, for hours, before the learning curve that it is too slow for was refused."""
    given = {"data.source": "a", "model.name": name, "evaluate.train_fractions": [0.5], "train.lr": -1}
    with pytest.raises(FlagError) as caught:
        parse_flags(given)
    said = f"trains the model again, which `model.name` {name!r} is too slow for; leave it out."
    assert caught.value.problems == (
        "`train.lr`: found -1, expected a number greater than 0 and at most 1e+30.",
        f"`evaluate.train_fractions`: {said}",
    )
    assert parse_flags({**given, "train.lr": 1, "evaluate.train_fractions": []}).model.name == name
    assert parse_flags({**given, "train.lr": 1, "model.name": "gp"}).evaluate.train_fractions == (0.5,)


def test_equal_flags_have_one_hash_and_defaults_are_not_copied():
    """Incident: a group with an object in it had no hash, so its default was copied for each job that came in."""
    searched = {"data.source": "GB1", "split.inner_folds": 3, "train.search": {"train.lr": [0.1, 0.2]}}
    first, second = parse_flags(searched), parse_flags(dict(reversed(searched.items())))
    assert first == second
    assert hash(first) == hash(second)
    plain = [parse_flags({"data.source": name}) for name in ("GB1", "GFP")]
    for name in type(plain[0]).model_fields:
        if name not in ("data", "ext"):
            assert getattr(plain[0], name) is getattr(plain[1], name)
