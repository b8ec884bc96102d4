"""A flag set from one spelling to another and back: the same tree, and no flag that was not given."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import FORMS, convert, parse_flags

SET = {
    "data": {"source": ["GB1", "a b"], "where": [{"column": "mut_num", "op": "<", "value": 3}]},
    "split.method": "modulo",
    "train": {"lr": 0.001},
    "ext": {"a": {"b.c": [1, "x=y\n"]}},
}


@pytest.mark.parametrize("to", FORMS)
@pytest.mark.parametrize("then", FORMS)
def test_there_and_back_is_the_same_tree(to, then) -> None:
    there = convert(SET, to)
    assert parse_flags(there) == parse_flags(SET)
    assert parse_flags(convert(there, then)) == parse_flags(SET)


def test_only_what_is_given_is_written_unless_defaults_are_wanted() -> None:
    assert convert("train.lr=0.5\ndata.source=GB1\n", "kv") == 'data.source=["GB1"]\ntrain.lr=0.5\n'
    assert json.loads(convert({"data": {"source": "GB1"}}, "dotted")) == {"data.source": ["GB1"]}
    assert "split.seed=0" in convert({"data": {"source": "GB1"}}, "kv", defaults=True)


def test_problems_are_named_and_an_unknown_form_is_refused() -> None:
    with pytest.raises(FlagError, match=r"train\.lr"):
        convert({"data.source": "GB1", "train.lr": -1}, "kv")
    with pytest.raises(ValueError, match="kv, json, dotted"):
        convert(SET, "yaml")


@settings(deadline=None, max_examples=30)
@given(
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip() == text and "\0" not in text),
    st.floats(1e-6, 1.0),
)
def test_any_text_and_number_survives(source, rate) -> None:
    flags = {"data": {"source": [source]}, "train": {"lr": rate}}
    for to in FORMS:
        assert parse_flags(convert(flags, to)) == parse_flags(flags)
