import json

import pytest
from pydantic import ValidationError

from proteinx_pipelines.contract.request import message_key_of, parse_message
from proteinx_pipelines.contract.result import ResultMessage, rejection, rejection_id, result_id
from proteinx_pipelines.errors import MessageError

ENDED = {
    "result_id": "r",
    "experiment_id": "a",
    "generation": 1,
    "attempt": 1,
    "finished_at": "t",
    "node": "n",
}
FIELDS = [
    "result_id", "message_id", "experiment_id", "generation", "attempt", "status", "summary", "artifacts", "stages",
    "error", "trace", "started_at", "finished_at", "node", "schema_version",
]  # fmt: skip


def refusal_of(raw: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse_message(raw)
    return caught.value


def test_the_document_has_every_field_in_the_documented_order():
    result = ResultMessage(
        **ENDED, status="SUCCEEDED", summary={"test/spearman": 0.84}, stages={"split": "computed"}
    )
    document = json.loads(result.to_json())
    assert list(document) == FIELDS
    assert document["artifacts"] == {"directory": None, "files": []}
    assert document["schema_version"] == 1


def test_a_result_reads_back_as_it_was_written():
    error = {"code": "empty_split", "message": "Nothing to test on: µ.", "retryable": False}
    result = ResultMessage(**ENDED, status="FAILED", error=error, trace="Traceback\n  ...")
    assert ResultMessage.model_validate_json(result.to_json()) == result
    assert "\n" not in result.to_json()


def test_an_undefined_metric_is_null():
    result = ResultMessage(
        **ENDED, status="SUCCEEDED", summary={"test/spearman": float("nan"), "test/mse": float("inf")}
    )
    assert json.loads(result.to_json())["summary"] == {"test/spearman": None, "test/mse": None}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "DONE"}, "status"),
        ({"status": "FAILED"}, "says why in `error`"),
        ({"status": "REJECTED"}, "says why in `error`"),
        ({"status": "SUCCEEDED", "error": {"code": "x", "message": "y"}}, "has no error"),
        ({"status": "SUCCEEDED", "generation": None}, "has an experiment_id and a generation"),
        ({"status": "SUCCEEDED", "stages": {"split": "skipped"}}, "reused"),
        ({"status": "SUCCEEDED", "node": None}, "node"),
    ],
)
def test_a_document_that_contradicts_itself_is_not_made(fields, said):
    with pytest.raises(ValidationError, match=said):
        ResultMessage(**{**ENDED, **fields})


def test_a_result_of_a_later_release_is_read():
    """Fields and stages are added without another version; a sender that is older must not lose its result."""
    later = {**ENDED, "status": "SUCCEEDED", "stages": {"design": "computed"}, "cost": {"seconds": 12}}
    read = ResultMessage.model_validate(later)
    assert dict(read.stages) == {"design": "computed"}


def test_a_generation_has_one_result_id_whatever_its_end():
    # printf 'gb1-001|1|t|n' | sha256sum
    first = result_id("gb1-001", 1, received_at="t", node="n")
    assert first == "c6185d0830f1aa1b3ceaea1d7de28328cef5da85d8ea57e1125bada46642b387"
    others = [
        ("gb1-001", 2, "t", "n"),
        ("b", 1, "t", "n"),
        ("gb1-001", 1, "u", "n"),
        ("gb1-001", 1, "t", "o"),
    ]
    found = {result_id(name, number, received_at=at, node=node) for name, number, at, node in others}
    assert len(found | {first}) == 5


def test_the_same_message_is_refused_with_the_same_result():
    raw = b'{"experiment_id": "a", "message_id": "m-1", "flags": {}}'
    first, second = (rejection(raw, refusal_of(raw), node="n", received_at="t") for _ in range(2))
    assert first.message_key == "m-1"
    assert first.result.result_id == second.result.result_id == rejection_id("m-1", received_at="t", node="n")
    assert first.result.finished_at == "t"


def test_a_refusal_echoes_the_sender_and_tells_every_problem():
    raw = b'{"experiment_id": "a", "message_id": "m-1", "flags": {"train.lr": -1}}'
    result = rejection(raw, refusal_of(raw), node="n", received_at="t").result
    assert (result.status, result.experiment_id, result.message_id, result.generation) == (
        "REJECTED",
        "a",
        "m-1",
        None,
    )
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("bad_flags", False)
    assert len(result.error.message.splitlines()) == 2


def test_a_refusal_made_elsewhere_is_named_by_its_bytes():
    raw = b'{"experiment_id": "a", "message_id": "m-1", "flags": {"data.source": "x"}}'
    anonymous = rejection(raw, MessageError("duplicate", ["`a` is known."]), node="n", received_at="t")
    assert anonymous.message_key == message_key_of(raw)
