"""The whole corpus of hostile messages, and thousands that Hypothesis makes, through a node's intake and dispatch.

Each is answered with a code and a place, no round of the sensor fails, and nothing outside WORKDIR is read or written.
"""

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings

from proteinx_pipelines import experiment_id as ids
from proteinx_pipelines.contract import request as messages
from proteinx_pipelines.contract.request import CODES
from proteinx_pipelines.errors import PathNotAllowed, ProteinxError
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.memory import machine_memory
from proteinx_pipelines.experiment_dir import layout
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.files.references import References
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.planning import node_machine
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.chaos.trials import how_often, printed_seed
from proteinx_pipelines_tests.chaos.watching import touched, tree
from proteinx_pipelines_tests.contract.hostile.case import WHOLE, Case, envelope
from proteinx_pipelines_tests.contract.hostile.generated import MESSAGES
from proteinx_pipelines_tests.contract.hostile.references import REFERENCES
from proteinx_pipelines_tests.contract.test_hostile_requests import HOSTILE, names

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[2]
NODE_CODES = {"path_not_allowed", "duplicate", "cancelled"}
"""Codes that a look at this node gives; the last is that of what was accepted, when it comes again."""
ENDED = json.dumps(
    {"status": "CANCELLED", "error": {"code": "cancelled", "message": "It was accepted, and is over."}}
)
AT_INTAKE = printed_seed("messages at the point of intake")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: every decision is synced to the disk, and here are thousands."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture(scope="module", autouse=True)
def _machine_known() -> None:
    """What a process asks of its machine and its code once is not the messages' doing."""
    machine_memory()
    node_machine()
    code_facts()


@pytest.fixture
def dispatch(intake: Intake, tmp_path: Path) -> Iterator[Dispatch]:
    """A node's dispatch on a WORKDIR with links that lead out of it, beside a folder with things to steal."""
    settings = intake.settings
    for folder in (settings.experiments_dir, settings.run_dir):
        folder.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("mutant,DMS_score,c\nA1C,1,train\n", encoding="utf-8")
    (settings.workdir / "linked").symlink_to(outside)
    (settings.workdir / "linked.csv").symlink_to(outside / "secret.csv")
    (settings.workdir / "loop").symlink_to("loop")
    lock = ProcessLock(settings.run_dir / "intake.lock", "The intake")
    yield Dispatch(settings, intake.state, intake, lock)
    lock.release()


def corpus(outside: Path) -> list[Case]:
    """Every hostile message, those included that only a node can tell from a good one."""
    references = [
        reference.case(number, outside=str(outside), linked="linked")
        for number, reference in enumerate(REFERENCES)
    ]
    return [*HOSTILE.values(), *references]


def results(intake: Intake) -> list[dict[str, Any]]:
    """What the Master got, oldest first."""
    client = connect(intake.settings.redis_url or "")
    return [json.loads(raw) for raw in reversed(client.lrange("experiments:results", 0, -1))]


def work_off(dispatch: Dispatch, cases: list[Case]) -> None:
    """Rounds of the sensor until every message is decided."""
    for case in cases:
        dispatch.intake.queue.enqueue(case.raw)
    while dispatch.intake.queue.waiting():
        dispatch.wait_for_work(0.0)


def test_every_hostile_message_is_answered_and_nothing_outside_is_touched(
    dispatch: Dispatch, tmp_path: Path
) -> None:
    outside, workdir = tmp_path / "outside", dispatch.settings.workdir
    cases = corpus(outside)
    assert len({case.raw for case in cases}) == len(cases) >= 600
    dispatch.wait_for_work(0.0)  # what is read once, such as the time zone, is not the messages' doing
    before = tree(outside)
    with touched(workdir, REPOSITORY) as found:
        work_off(dispatch, cases)
        work_off(dispatch, [Case(envelope(experiment_id="good"), "", WHOLE)])
    assert found == []
    assert tree(outside) == before
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "workdir"}
    answers = results(dispatch.intake)
    assert [answer["status"] for answer in answers] == ["REJECTED"] * len(cases)
    assert [answer["error"]["code"] for answer in answers] == [case.code for case in cases]
    for answer, case in zip(answers, cases, strict=True):
        assert names(answer["error"]["message"], case.place), (case, answer["error"])
        assert "canary-7d1c" not in json.dumps(answer), "the password of a refused address"
    assert [path.name for path in dispatch.settings.experiments_dir.iterdir()] == ["good"]
    assert list(dispatch.intake.queue.claimed()) == []


def select_from(settings: Settings, reference: str) -> None:
    """What a run would do with a payload that intake had let through."""
    flags = parse_flags({"data.source": "secret"})
    attempt = Attempt(settings, "e", flags, generation=1, payload_ref=reference)
    try:
        attempt.run_stage("selection", attempt.record)
    finally:
        attempt.close()


def anywhere(references: References, reference: str, *, name: str = "reference") -> Path:
    """`References.resolve` without its guard."""
    return (references.roots[0] / reference).resolve()


@pytest.mark.parametrize("reference", ["linked.csv", "linked/secret.csv", "../outside/secret.csv"])
def test_a_run_reads_no_neighbour_s_file_either_and_would_without_the_guard(
    dispatch: Dispatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    stolen = ("open", str(tmp_path / "outside" / "secret.csv"))
    with touched(dispatch.settings.workdir, REPOSITORY) as found, pytest.raises(PathNotAllowed):
        select_from(dispatch.settings, reference)
    assert stolen not in found
    monkeypatch.setattr(References, "resolve", anywhere)
    with touched(dispatch.settings.workdir, REPOSITORY) as found, contextlib.suppress(ProteinxError):
        select_from(dispatch.settings, reference)
    assert stolen in found


def test_every_flag_that_names_a_file_is_among_the_hostile_references() -> None:
    """A new one fails here until it is confined where messages come in."""
    files = {
        f"{group}.{name}"
        for group, field in ExperimentFlags.model_fields.items()
        for name, flag in getattr(field.annotation, "model_fields", {}).items()
        if re.search(r"path|weights|file|folder|dir$", name) and "str" in str(flag.annotation)
    }
    assert files == {reference.place for reference in REFERENCES} - {"payload_ref"}


def test_without_the_rule_for_ids_a_neighbouring_folder_would_be_written(
    dispatch: Dispatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (messages, ids):
        monkeypatch.setattr(module, "experiment_id_problem", lambda _id: None)
    monkeypatch.setattr(layout, "check_experiment_id", str)
    before = tree(tmp_path / "outside")
    work_off(dispatch, [Case(envelope(experiment_id="../../outside"), "bad_id", "experiment_id")])
    assert tree(tmp_path / "outside") != before


@pytest.fixture
def _seed_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f" seed {AT_INTAKE} (again: CHAOS_SEED={AT_INTAKE}) ")


@given(raw=MESSAGES)
@seed(AT_INTAKE)
@hypothesis_settings(
    max_examples=how_often(300, 10_000),
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("_seed_shown")
def test_whatever_comes_is_accepted_or_answered_with_a_code(
    intake: Intake, tmp_path: Path, raw: bytes
) -> None:
    client = connect(intake.settings.redis_url or "")
    client.delete("experiments:results")
    client.lpush("experiments", raw)
    with touched(intake.settings.workdir, REPOSITORY) as found:
        assert intake.take_waiting() == 1
    assert found == []
    assert list(intake.queue.claimed()) == []
    accepted = intake.state.due(10)
    answers = results(intake)
    assert len(answers) + len(accepted) == 1
    for current in accepted:
        assert experiment_id_problem(current.experiment_id) is None
        intake.state.finish(current, Outcome("CANCELLED", "cancelled", "x"), current.run_key, ENDED)
        deliver_results(intake.settings, intake.state)
    for answer in answers:
        assert answer["error"]["code"] in {*CODES, *NODE_CODES}
        assert answer["error"]["message"]
    assert {path.name for path in tmp_path.iterdir()} == {"workdir"}
