"""What strangers, bugs and accidents put on a queue: each is answered with a code, none raises anything else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.inbox.messages import CODES, ExperimentRequest, parse_message
from proteinx_pipelines.inbox.results import rejection

FLAGS = {"data": {"source": "GB1"}}
DIGITS = b"9" * 5000
CONDITION = '{"column": "id", "op": "is null"}'


def envelope(**fields) -> bytes:
    return json.dumps({"experiment_id": "ok", "flags": FLAGS, **fields}).encode()


def flags(text: str) -> bytes:
    return b'{"experiment_id": "ok", "flags": {"data": {"source": "GB1"}, ' + text.encode() + b"}}"


HOSTILE = {
    # not a JSON text
    "nothing": (b"", "not_json"),
    "spaces": (b"   \n", "not_json"),
    "a word": (b"hello", "not_json"),
    "half an object": (b'{"experiment_id": "ok", "flags": {', "not_json"),
    "two objects": (envelope() * 2, "not_json"),
    "single quotes": (b"{'experiment_id': 'ok'}", "not_json"),
    "a trailing comma": (b'{"experiment_id": "ok",}', "not_json"),
    "a comment": (b'{"experiment_id": "ok" /* hi */}', "not_json"),
    "a line break in a text": (b'{"experiment_id": "o\nk"}', "not_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + envelope(), "not_json"),
    "UTF-16": (envelope().decode().encode("utf-16"), "not_utf8"),
    "Latin-1": ('{"experiment_id": "é"}'.encode("latin-1"), "not_utf8"),
    "an overlong encoding": (b'{"experiment_id": "\xc0\xaf"}', "not_utf8"),
    "a half surrogate in UTF-8": (b'{"experiment_id": "\xed\xa0\x80"}', "not_utf8"),
    "a pickle": (b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93", "not_utf8"),
    "a gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "not_utf8"),
    "two mebibytes": (b'{"experiment_id": "' + b"x" * 2**21 + b'"}', "too_large"),
    "two mebibytes of brackets": (b"[" * 2**21, "too_large"),
    "a million brackets": (b"[" * 10**6, "too_deep"),
    "objects 100,000 deep": (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "too_deep"),
    "flags 70 deep": (flags('"ext": ' + '{"x":' * 70 + "1" + "}" * 70), "too_deep"),
    "lists 70 deep": (flags('"ext": {"x": ' + "[" * 70 + "]" * 70 + "}"), "too_deep"),
    # not an object
    "null": (b"null", "not_an_object"),
    "a number": (b"17", "not_an_object"),
    "NaN alone": (b"NaN", "not_an_object"),
    "a long number alone": (DIGITS, "not_an_object"),
    "a text": (b'"experiment_id"', "not_an_object"),
    "a list of messages": (b"[" + envelope() + b"]", "not_an_object"),
    # keys
    "an id twice": (b'{"experiment_id": "a", "experiment_id": "b", "flags": {"data.source": "x"}}', "duplicate_key"),
    "a flag twice": (flags('"train": {"lr": 1, "lr": 1}'), "duplicate_key"),
    "a key twice in ext": (flags('"ext": {"a": [{"b": 1, "b": 2}]}'), "duplicate_key"),
    "a key twice in an unknown field": (envelope()[:-1] + b', "x": {"y": 1, "y": 2}}', "duplicate_key"),
    "an escaped key twice": (b'{"experiment_id": "a", "\\u0065xperiment_id": "b", "flags": {}}', "duplicate_key"),
    # envelope
    "an empty object": (b"{}", "missing_field"),
    "no id": (b'{"flags": {"data.source": "x"}}', "missing_field"),
    "no flags": (b'{"experiment_id": "ok"}', "missing_field"),
    "version 2": (envelope(schema_version=2), "bad_schema_version"),
    "version 1 as text": (envelope(schema_version="1"), "bad_schema_version"),
    "version true": (envelope(schema_version=True), "bad_schema_version"),
    "version null": (envelope(schema_version=None), "bad_schema_version"),
    "version NaN": (envelope(schema_version=float("nan")), "bad_schema_version"),
    "an id of null": (envelope(experiment_id=None), "bad_id"),
    "an id of 5": (envelope(experiment_id=5), "bad_id"),
    "an id of nothing": (envelope(experiment_id=""), "bad_id"),
    "an id of a list": (envelope(experiment_id=["a"]), "bad_id"),
    "an id that climbs": (envelope(experiment_id="../../x"), "bad_id"),
    "an id with a slash": (envelope(experiment_id="a/b"), "bad_id"),
    "an id with a backslash": (envelope(experiment_id="a\\b"), "bad_id"),
    "an id with a drive": (envelope(experiment_id="C:x"), "bad_id"),
    "an id with two dots": (envelope(experiment_id="a..b"), "bad_id"),
    "an id with a dot at its end": (envelope(experiment_id="a."), "bad_id"),
    "an id with a dot at its start": (envelope(experiment_id=".a"), "bad_id"),
    "a device": (envelope(experiment_id="con"), "bad_id"),
    "a device with an ending": (envelope(experiment_id="NUL.txt"), "bad_id"),
    "300 characters": (envelope(experiment_id="a" * 300), "bad_id"),
    "NUL in an id": (envelope(experiment_id="a\0b"), "bad_id"),
    "a line break at an id's end": (envelope(experiment_id="a\n"), "bad_id"),
    "a letter that looks Latin": (envelope(experiment_id="gb1-\u0430"), "bad_id"),
    "a half surrogate in an id": (b'{"experiment_id": "\\ud800", "flags": {"data.source": "x"}}', "bad_id"),
    "an id of 10^5000": (b'{"experiment_id": ' + DIGITS + b', "flags": {"data.source": "x"}}', "bad_id"),
    "a message id of 5": (envelope(message_id=5), "bad_field"),
    "an empty message id": (envelope(message_id=""), "bad_field"),
    "a long message id": (envelope(message_id="m" * 201), "bad_field"),
    "a message id with a line break": (envelope(message_id="a\nb"), "bad_field"),
    "a message id that poses as a hash": (envelope(message_id="sha256:" + "0" * 64), "bad_field"),
    "a payload of a list": (envelope(payload_ref=["a.csv"]), "bad_field"),
    "an empty payload": (envelope(payload_ref=""), "bad_field"),
    "a payload with NUL": (envelope(payload_ref="a\0.csv"), "bad_field"),
    "a priority of a text": (envelope(priority="high"), "bad_field"),
    "a priority of true": (envelope(priority=True), "bad_field"),
    "a priority of 1.5": (envelope(priority=1.5), "bad_field"),
    "a priority of 10^9": (envelope(priority=10**9), "bad_field"),
    "Infinity in an unknown field": (envelope(x=float("inf")), "bad_field"),
    # flags
    "flags of null": (envelope(flags=None), "bad_flags"),
    "flags of a list": (envelope(flags=[1]), "bad_flags"),
    "flags of a text": (envelope(flags="data.source=x"), "bad_flags"),
    "no flag at all": (envelope(flags={}), "bad_flags"),
    "no source": (envelope(flags={"train.lr": 1}), "bad_flags"),
    "a misspelt flag": (flags('"train.learnin_rate": 1'), "bad_flags"),
    "lr fast": (flags('"train.lr": "fast"'), "bad_flags"),
    "lr -1": (flags('"train.lr": -1'), "bad_flags"),
    "lr NaN": (flags('"train.lr": NaN'), "bad_flags"),
    "lr -Infinity": (flags('"train.lr": -Infinity'), "bad_flags"),
    "lr 1e999": (flags('"train.lr": 1e999'), "bad_flags"),
    "lr 10^5000": (flags('"train.lr": ' + DIGITS.decode()), "bad_flags"),
    "epochs 2^64": (flags('"train.max_epochs": 18446744073709551616'), "bad_flags"),
    "epochs 1.5": (flags('"train.max_epochs": 1.5'), "bad_flags"),
    "an unknown column": (flags('"data.where": [{"column": "x", "op": "=", "value": 1}]'), "bad_flags"),
    "SQL as a column": (flags('"data.where": [{"column": "1=1; --", "op": "=", "value": 1}]'), "bad_flags"),
    "SQL as an operator": (flags('"data.where": [{"column": "id", "op": "= 1 OR 1", "value": 1}]'), "bad_flags"),
    "an object as a value": (flags('"data.where": [{"column": "id", "op": "=", "value": {"$gt": 0}}]'), "bad_flags"),
    "1,000 conditions": (flags(f'"data.where": [{", ".join([CONDITION] * 1000)}]'), "bad_flags"),
    "50,000 unknown flags": (flags(",".join(f'"f{number}": 1' for number in range(50_000))), "bad_flags"),
    "a flag name of 500,000 letters": (flags('"' + "y" * 500_000 + '": 1'), "bad_flags"),
    "a dotted name of 100,000 parts": (flags('"' + "a." * 100_000 + 'a": 1'), "bad_flags"),
    "a metric of a stranger": (flags('"evaluate.metrics": ["os.system"]'), "bad_flags"),
    "a callback": (flags('"trainer.callbacks": ["os.system"]'), "bad_flags"),
    "a plugin": (flags('"trainer.plugins": "x"'), "bad_flags"),
    "another root": (flags('"trainer.default_root_dir": "/etc"'), "bad_flags"),
    "dunder names": (flags('"__class__": {"__init__": 1}'), "bad_flags"),
    "NUL in a path": (flags('"split": {"method": "file", "path": "a\\u0000", "column": "c"}'), "bad_flags"),
    "a terminal escape in a name": (flags('"\\u001b[2Jx": 1'), "bad_flags"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_each_hostile_message_is_answered_with_its_code(raw, code):
    with pytest.raises(MessageError) as caught:
        parse_message(raw)
    error = caught.value
    assert error.code == code
    assert error.problems
    assert all(problem.isprintable() and len(problem) < 1000 for problem in error.problems)
    answer = rejection(raw, error, node="n").result.to_json()
    assert len(answer) < 40_000
    assert json.loads(answer)["status"] == "REJECTED"


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
