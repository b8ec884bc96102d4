"""Templates: each is valid, says what it needs, and the cheap ones do what they say on the demo's data."""

import json
import random
import sqlite3
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.groups.expanding import UnitRequest
from proteinx_pipelines.master.groups.keeping import requests_of
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.templates import TemplateNeeds, UnknownTemplate, template, templates


def test_there_are_ten_or_more_each_with_words_and_outputs() -> None:
    assert len(templates()) >= 10
    for each in templates().values():
        assert each.title
        assert each.description.endswith((".", "?"))
        assert each.expects
        assert each.needs


@pytest.mark.parametrize("name", templates())
def test_its_flags_are_valid_with_what_it_needs(name: str) -> None:
    found = template(name)
    given = {flag: {"data.source": "GB1"}.get(flag, "checkpoint.ckpt") for flag in found.needs}
    flags = parse_flags(found.filled(given))
    assert flags.data.source == ("GB1",)
    if found.grid:
        assert len(requests_of(UnitRequest(template=name, flags=given, grid=dict(found.grid)))) > 1


def test_the_tasks_that_users_have_are_there() -> None:
    names = (
        "baseline", "best_without_weights", "esm2_ridge", "leave_positions_out", "n_vs_rest", "sweep", "next_round",
        "predict", "fine_tune", "shard",
    )  # fmt: skip
    assert set(names) <= set(templates())


def test_a_unit_of_a_sweep_has_its_experiments_unless_it_says_what_varies() -> None:
    given = {"template": "sweep", "flags": {"data.source": "GB1"}}
    named = [
        (each.experiment.flags.model.name, each.experiment.flags.split.seed)
        for each in requests_of(UnitRequest(**given))
    ]
    assert named == [(name, seed) for name in ("ridge", "gp", "boosting") for seed in (1, 2, 3)]
    assert len(requests_of(UnitRequest(**given, grid={"split.seed": [5, 6]}))) == 2
    assert len(requests_of(UnitRequest(**given, list=[{"split.seed": 5}]))) == 1


def test_a_sweep_that_is_sent_as_a_job_is_refused_with_what_to_do(http: TestClient) -> None:
    """It ran one experiment, with the flags that all nine share, and nobody was told."""
    sweep = {"template": "sweep", "flags": {"data.source": "GB1"}}
    job = {"flags": {"data.source": "GB1"}}
    for path, body in (("jobs", sweep), ("jobs/batch", {"jobs": [job, sweep]})):
        answer = http.post(f"/api/{path}", json=body)
        assert answer.status_code == 422
        assert "9 experiments that differ in model.name, split.seed" in answer.json()["detail"]
        assert "POST /api/groups/{id}/units" in answer.json()["detail"]
    assert http.post("/api/jobs", json=sweep).json()["code"] == "template_is_a_sweep"
    assert http.get("/api/jobs").json()["total"] == 0
    group = http.post("/api/groups", json={"name": "nine"}).json()["group_id"]
    unit = http.post(f"/api/groups/{group}/units", json=sweep).json()["unit_id"]
    assert http.post(f"/api/units/{unit}/submit").json()["counts"]["total"] == 9


@pytest.mark.parametrize("name", ["sweep", "grid"])
def test_a_sweep_among_the_flags_is_refused_at_every_door_with_what_to_do(
    http: TestClient, name: str
) -> None:
    flags = {"data.source": "GB1", name: {"split.seed": [1, 2]}}
    expected = f"`{name}`: unknown flag; a message or job is one experiment"
    (problem,) = http.post("/api/jobs", json={"flags": flags}).json()["problems"]
    assert problem.startswith(expected)
    with pytest.raises(MessageError) as refused:
        parse_message(json.dumps({"experiment_id": "e", "flags": flags}).encode())
    assert refused.value.problems == (problem,)


def write_pairs(path: Path) -> None:
    """A catalog of most singles and some doubles of a template of seven residues, additive but for a little noise."""
    template, residues, chance = "MKVLAYT", "ACDEFGHIKLMNPQRSTVWY", random.Random(0)
    effects = {(k, x): chance.gauss(0, 1) for k in range(len(template)) for x in residues}
    sites = [(k, x) for k in range(len(template)) for x in residues if x != template[k]]
    chosen = [
        (site,) for number, site in enumerate(sites) if number % 6
    ]  # the others are there to be predicted
    chosen += [(a, b) for a, b in (chance.sample(sites, 2) for _ in range(150)) if a[0] < b[0]]
    rows = [
        (
            ":".join(f"{template[k]}{k + 1}{x}" for k, x in each),
            sum(effects[site] for site in each) + chance.gauss(0, 0.1),
            len(each),
        )
        for each in dict.fromkeys(chosen)
    ]
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);"
            "CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT, "
            "mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));"
        )
        connection.execute("INSERT INTO sources VALUES (1, 'PAIRS', ?)", (template,))
        insert = "INSERT INTO mutations(mutant, DMS_score, mut_num, source) VALUES (?, ?, ?, 1)"
        connection.executemany(insert, rows)
    connection.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("templates") / "workdir"
    folder.mkdir()
    found = load_settings({"PROTEINX_WORKDIR": str(folder)}, folder.parent)
    write_pairs(found.database_path)
    return found


CHEAP = [each.name for each in templates().values() if each.cheap]


def test_the_cheap_ones_are_told_from_the_others() -> None:
    assert len(CHEAP) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_one_succeeds_and_leaves_what_it_promises(name: str, settings: Settings) -> None:
    found = template(name)
    run_local_experiment(settings, name, parse_flags(found.filled({"data.source": "PAIRS"})))
    directory = settings.experiments_dir / name
    assert json.loads((directory / "experiment.json").read_text())["status"] == "SUCCEEDED"
    assert [each for each in found.expects if not (directory / each).is_file()] == []


def test_what_is_missing_and_what_is_unknown_is_named() -> None:
    with pytest.raises(TemplateNeeds, match=r"data.source=\.\.\."):
        template("baseline").filled({})
    with pytest.raises(UnknownTemplate, match="Did you mean 'baseline'"):
        template("baselin")


def test_a_job_by_template_has_its_flags_and_the_senders_win(http: TestClient) -> None:
    body = {"template": "baseline", "flags": {"data.source": "GB1", "split.folds": 3}}
    job = http.post("/api/jobs", json=body).json()
    assert (job["flags"]["split"]["folds"], job["flags"]["model"]["name"]) == (3, "ridge")
    wrong = http.post("/api/jobs", json={"template": "nothing"})
    assert wrong.json()["code"] == "unknown_template"
    assert len(http.get("/api/templates").json()["items"]) == len(templates())
