import hashlib
import json

import pytest

from proteinx_pipelines.contract.request import CODES, MAX_BYTES, parse_message
from proteinx_pipelines.errors import MessageError

FLAGS = {"data": {"source": "GB1"}}
GOOD = {"experiment_id": "gb1-001", "flags": FLAGS}


def raw_of(**fields) -> bytes:
    return json.dumps({**GOOD, **fields}).encode("utf-8")


def refusal_of(raw: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse_message(raw)
    return caught.value


def test_a_minimal_message_is_accepted_with_the_defaults():
    raw = raw_of()
    request = parse_message(raw)
    assert (request.experiment_id, request.payload_ref, request.message_id, request.priority) == (
        "gb1-001",
        None,
        None,
        0,
    )
    assert request.flags.data.source == ("GB1",)
    assert request.message_key == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert request.raw == raw


def test_a_full_message_is_accepted_with_all_it_says():
    request = parse_message(
        raw_of(
            flags={"data.source": "GB1", "data.split": "modulo", "train.lr": 0.1}, payload_ref="assays/a.csv",
            message_id="m-1", priority=-3, schema_version=1,
        )
    )  # fmt: skip
    assert (request.payload_ref, request.message_id, request.message_key, request.priority) == (
        "assays/a.csv",
        "m-1",
        "m-1",
        -3,
    )
    assert (request.flags.split.method, request.flags.train.lr) == ("modulo", 0.1)


def test_unknown_envelope_fields_are_ignored():
    assert parse_message(raw_of(sent_at="2026-03-01", trace={"a": [1]})).experiment_id == "gb1-001"


def test_null_stands_for_no_reference_and_no_message_id():
    request = parse_message(raw_of(payload_ref=None, message_id=None))
    assert (request.payload_ref, request.message_id) == (None, None)


def test_equal_bytes_have_equal_keys_and_other_bytes_others():
    assert parse_message(raw_of()).message_key == parse_message(raw_of()).message_key
    assert parse_message(raw_of()).message_key != parse_message(raw_of() + b" ").message_key


def test_every_problem_is_told_and_the_first_kind_gives_the_code():
    refusal = refusal_of(
        b'{"experiment_id": "../../x", "flags": {"train": {"lr": NaN, "lr": -1, "learnin_rate": 1}}, "priority": "x",'
        b' "schema_version": 2, "payload_ref": 5, "message_id": ""}'
    )
    assert refusal.code == "duplicate_key"
    assert [problem.split(" ")[0].rstrip(":") for problem in refusal.problems] == [
        "`train.lr`", "`schema_version`", "`experiment_id`", "`message_id`", "`payload_ref`", "`priority`",
        "`data.source`", "`train.learnin_rate`",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schema_version": 2, "experiment_id": "a b", "priority": 1e9, "flags": 1}, "bad_schema_version"),
        ({"experiment_id": "a b", "priority": 1e9, "flags": 1}, "bad_id"),
        ({"priority": 1e9, "flags": 1}, "bad_field"),
        ({"flags": 1}, "bad_flags"),
    ],
)
def test_codes_come_in_the_documented_order(changes, code):
    assert refusal_of(raw_of(**changes)).code == code


def test_what_is_missing_is_told_together():
    refusal = refusal_of(b"{}")
    assert (refusal.code, len(refusal.problems)) == ("missing_field", 2)
    assert refusal_of(b'{"experiment_id": "con"}').code == "missing_field"


def test_a_refusal_knows_its_sender_where_the_message_says_who_it_is():
    refusal = refusal_of(raw_of(message_id="m-1", flags={}))
    assert (refusal.experiment_id, refusal.message_id, refusal.message_key) == ("gb1-001", "m-1", "m-1")


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b'{"experiment_id": "../x", "message_id": 5, "flags": {}}',
        b'{"experiment_id": "a", "experiment_id": "b", "message_id": "m", "message_id": "n", "flags": {}}',
    ],
)
def test_a_refusal_echoes_nothing_that_is_unusable_or_unclear(raw):
    refusal = refusal_of(raw)
    assert (refusal.experiment_id, refusal.message_id) == (None, None)
    assert refusal.message_key == "sha256:" + hashlib.sha256(raw).hexdigest()


def test_a_message_of_one_mebibyte_is_read_and_one_byte_more_is_not():
    full = raw_of()[:-1] + b', "note": "'
    full += b"x" * (MAX_BYTES - len(full) - 2) + b'"}'
    assert len(full) == MAX_BYTES
    assert parse_message(full).experiment_id == "gb1-001"
    assert refusal_of(full + b" ").code == "too_large"


def test_the_codes_are_those_of_the_documentation():
    assert len(set(CODES)) == len(CODES) == 11


@pytest.mark.parametrize("name", [None, "notebook-7", "a", "A" * 100, "x.y_z-1"])
def test_a_reply_name_is_kept(name):
    message = {"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "reply_to": name}
    assert parse_message(json.dumps(message).encode()).reply_to == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "../x", "a\n", "-a", ".a", "A" * 101, 7, ["a"], "ä", "*"]
)
def test_a_reply_name_that_could_be_another_key_is_refused(name):
    message = {"experiment_id": "e", "flags": {"data": {"source": "GB1"}}, "reply_to": name}
    with pytest.raises(MessageError, match="reply_to") as caught:
        parse_message(json.dumps(message).encode())
    assert (caught.value.code, caught.value.reply_to) == ("bad_field", None)
