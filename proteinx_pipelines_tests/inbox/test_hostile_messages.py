"""What strangers, bugs and accidents put on a queue: each is answered with a code, none raises anything else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.inbox import messages
from proteinx_pipelines.inbox.messages import CODES, ExperimentRequest, parse_message
from proteinx_pipelines.inbox.results import rejection
from proteinx_pipelines_tests.inbox.hostile.case import envelope
from proteinx_pipelines_tests.inbox.hostile.fields import FIELDS
from proteinx_pipelines_tests.inbox.hostile.flag_values import FLAG_VALUES
from proteinx_pipelines_tests.inbox.hostile.texts import TEXTS

HOSTILE = {**TEXTS, **FIELDS, **FLAG_VALUES}
"""Everything that can be refused without looking at this node."""


def names(answer: str, place: str) -> bool:
    """Whether an answer says where the problem is: the dotted flag or the field, between back ticks."""
    return f"`{place}" in answer if place else bool(answer)


def test_the_corpus_is_large_and_every_message_in_it_is_another_one():
    assert len({case.raw for case in HOSTILE.values()}) == len(HOSTILE) >= 450
    assert {case.code for case in HOSTILE.values()} == set(CODES)


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE.keys())
def test_each_hostile_message_is_answered_with_its_code_and_its_place(case):
    with pytest.raises(MessageError) as caught:
        parse_message(case.raw)
    error = caught.value
    assert error.code == case.code
    assert names("\n".join(error.problems), case.place)
    assert all(problem.isprintable() and len(problem) < 1000 for problem in error.problems)
    answer = rejection(case.raw, error, node="n").result.to_json()
    assert len(answer) < 40_000
    assert json.loads(answer)["status"] == "REJECTED"


def test_a_parser_without_the_project_s_own_reading_would_take_some_of_them(monkeypatch):
    """Guard off: with Python's own JSON reader in its place, repeated keys and NaN pass unseen."""
    monkeypatch.setattr(messages, "read_json", json.loads)
    passed = [name for name, case in HOSTILE.items() if _is_taken_for_good(case)]
    assert {"an id twice", "a flag twice", "an escaped key twice"} <= set(passed)


def _is_taken_for_good(case):
    try:
        parse_message(case.raw)
    except MessageError as error:
        return error.code != case.code
    except (ValueError, RecursionError):
        return True
    return True


def test_a_value_with_sql_in_it_is_a_value():
    request = parse_message(envelope(flags={"data.source": "x' OR 1=1 --", "data.where": [
        {"column": "mutant", "op": "=", "value": "' OR 1=1 --"}]}))  # fmt: skip
    assert request.flags.data.where[0].value == "' OR 1=1 --"


def outcome(raw: bytes) -> None:
    """Either a request with a usable id, or a refusal that can be answered; any other error is a failure."""
    refused = None
    try:
        request = parse_message(raw)
    except MessageError as error:
        refused = error
    if refused is None:
        assert isinstance(request, ExperimentRequest)
        assert experiment_id_problem(request.experiment_id) is None
        assert json.dumps(request.flags.nested(), allow_nan=False).encode("utf-8")
    else:
        assert refused.code in CODES
        assert json.loads(rejection(raw, refused, node="n").result.to_json())["error"]["message"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_arbitrary_bytes_give_a_refusal_and_nothing_else(raw):
    outcome(raw)


GOOD = envelope(
    flags={"data.source": ["GB1"], "train": {"lr": 0.1, "target": "rank"}, "data.where": [
        {"column": "mut_num", "op": "in", "value": [1, 2]}], "ext": {"a": {"b": [1]}}},
    message_id="m-1", priority=1, payload_ref="a.csv", schema_version=1,
)  # fmt: skip
FRAGMENTS = st.sampled_from(
    [
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"\0",
        b"\xff",
        b"NaN",
        b"1e999",
        b"-",
        b".",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_good_message_with_bytes_changed_gives_a_request_or_a_refusal(data):
    raw = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = min(len(raw), start + data.draw(st.integers(0, 6)))
        raw = raw[:start] + data.draw(FRAGMENTS | st.binary(max_size=3)) + raw[end:]
    outcome(raw)


HOSTILE_VALUES = st.sampled_from(
    [
        None,
        True,
        -1,
        2**63,
        10**30,
        1.5,
        float("nan"),
        "",
        "\0",
        "\ud800",
        "../x",
        [],
        {},
        [[]],
        {"": 1},
        "x" * 3000,
    ]
)
VALUES = st.recursive(
    HOSTILE_VALUES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["data", "data.source", "data.where", "data.split", "split", "split.fractions", "model.hidden_dims", "train.lr",
     "train.logger", "trainer.devices", "trainer.max_time", "trainer", "evaluate.metrics", "run", "ext", "ext.x.y"]
)  # fmt: skip


FIELDS = st.sampled_from(
    ["experiment_id", "message_id", "payload_ref", "priority", "schema_version", "flags", "x"]
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=4),
    st.dictionaries(FIELDS, VALUES, max_size=2),
)
def test_a_good_message_with_values_changed_gives_a_request_or_a_refusal(changed_flags, changed_fields):
    outcome(envelope(**{"flags": {"data.source": "GB1", **changed_flags}, **changed_fields}))
