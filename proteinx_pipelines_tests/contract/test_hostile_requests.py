"""What strangers, bugs and accidents put on a queue: each is answered with a code, none raises anything else."""

import json

import pytest
from hypothesis import given, settings

from proteinx_pipelines.contract import request as messages
from proteinx_pipelines.contract.request import CODES, ExperimentRequest, parse_message
from proteinx_pipelines.contract.result import rejection
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.stages.known_names import known_here
from proteinx_pipelines_tests.contract.hostile.case import envelope
from proteinx_pipelines_tests.contract.hostile.fields import FIELDS
from proteinx_pipelines_tests.contract.hostile.flag_values import FLAG_VALUES
from proteinx_pipelines_tests.contract.hostile.generated import MESSAGES
from proteinx_pipelines_tests.contract.hostile.texts import TEXTS

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
        parse_message(case.raw, known_here())
    error = caught.value
    assert error.code == case.code
    assert names("\n".join(error.problems), case.place)
    assert all(problem.isprintable() and len(problem) < 1000 for problem in error.problems)
    answer = rejection(case.raw, error, node="n", received_at="t").result.to_json()
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


@settings(max_examples=300)
@given(MESSAGES)
def test_whatever_comes_gives_a_request_or_a_refusal_and_nothing_else(raw):
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
        answer = rejection(raw, refused, node="n", received_at="t").result.to_json()
        assert json.loads(answer)["error"]["message"]
