"""Commands that read files, ask models and upload data, at a Master: their output is that of the local commands."""

# ruff: noqa: F811  # fixtures of another folder are arguments

import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.cli.conftest import Proteinx
from proteinx_pipelines_tests.master.conftest import (  # noqa: F401
    TOY,
    open_master,
    served,
    trained_workdir,
)
from proteinx_pipelines_tests.master.experiments import change, end, new_job
from proteinx_pipelines_tests.waiting import wait_until


@pytest.fixture
def master(open_master: Callable[..., Master], trained_workdir: Path) -> Master:
    return open_master(PROTEINX_WORKDIR=str(trained_workdir))


@pytest.fixture
def trained(master: Master, trained_workdir: Path) -> str:
    """The job that trained `toy`."""
    report = json.loads(ExperimentDir(trained_workdir / "experiments", "toy").report_json.read_text())
    facts = {
        "flags": parse_flags(TOY).nested(),
        "source": "TOY",
        "summary": report["summary"],
        "generation": 1,
    }
    job_id = new_job(master, "toy", **facts)
    end(master, job_id)
    return job_id


@pytest.fixture
def at_home(trained_workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands without a Master work in the WORKDIR of `toy`."""
    monkeypatch.setenv("PROTEINX_WORKDIR", str(trained_workdir))
    monkeypatch.delenv("PROTEINX_MASTER", raising=False)


@pytest.mark.usefixtures("at_home")
def test_a_lineage_is_that_of_the_local_command(proteinx: Proteinx, served: str, trained: str) -> None:
    for words in ((), ("--json",), ("--files",)):
        here = proteinx("lineage", "toy", *words).output
        assert proteinx("lineage", trained, *words, "--master", served).output == here
        assert proteinx("lineage", "toy@1", *words, "--master", served).output == here
    assert "no job of generation 2" in proteinx("lineage", "toy@2", "--master", served, expect=1).output


@pytest.mark.usefixtures("at_home")
def test_jobs_are_compared_as_their_experiments_are(
    proteinx: Proteinx,
    served: str,
    master: Master,
    trained: str,
    trained_workdir: Path,
    tmp_path: Path,
) -> None:
    group = httpx.post(f"{served}/api/groups", json={"name": "pair"}).json()["group_id"]
    again = new_job(master, "toy", flags=parse_flags(TOY).nested(), generation=1, group_id=group)
    end(master, again)
    found = json.loads(proteinx("compare", trained, again, "--json", "--master", served).output)
    copied = tmp_path / "copy"
    shutil.copytree(trained_workdir / "experiments" / "toy", copied)
    here = json.loads(proteinx("compare", "toy", str(copied), "--json").output)
    assert [row["values"] for row in found["rows"]] == [row["values"] for row in here["rows"]]
    assert found["rows"][0]["experiment_id"] == "toy"
    table = tmp_path / "board.csv"
    shown = proteinx("compare", trained, "--group", "pair", "--csv", str(table), "--master", served).output
    assert shown.count("toy") >= 2
    assert len(table.read_text().splitlines()) == 3
    told = proteinx("compare", "a", "b", "--html", "x.html", "--master", served, expect=2).output
    assert f"{served}/compare?id=a&id=b" in " ".join(told.split())
    assert "No job of the group" in proteinx("compare", "--group", "no", "--master", served, expect=1).output


@pytest.mark.usefixtures("at_home")
def test_two_jobs_differ_as_their_experiments_do(proteinx: Proteinx, served: str, trained: str) -> None:
    here = json.loads(proteinx("diff", "toy", "toy@1", "--json").output)
    there = json.loads(proteinx("diff", trained, "toy@1", "--json", "--master", served).output)
    assert there == here
    assert here["rows"]["before"] > 100
    assert "toy -> toy@1" in proteinx("diff", "toy", "toy@1", "--master", served).output
    assert "--now: a Master" in proteinx("diff", "toy", "--now", "--master", served, expect=2).output


def test_a_model_is_asked_by_its_names(
    proteinx: Proteinx,
    served: str,
    trained: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROTEINX_MASTER", served)
    file = tmp_path / "two.csv"
    file.write_text("mutant\nQ2C\nQ2D\n")
    rows = json.loads(proteinx("predict", trained, "--variants", str(file), "--json").output)
    assert [row["mutant"] for row in rows] == ["Q2C", "Q2D"]
    out = tmp_path / "out.csv"
    assert "2 rows in" in proteinx("predict", "toy", "--mutants", "Q2C,Q2D", "--out", str(out)).output
    assert out.read_text().splitlines()[0].replace('"', "").split(",")[:3] == list(rows[0])[:3]
    assert "--template predict" in proteinx("predict", "toy", "--singles", expect=2).output
    assert "There is no model" in proteinx("predict", "nothing", "--mutants", "Q2C", expect=1).output


@contextmanager
def a_node(master: Master, table: pa.Table) -> Iterator[None]:
    """Whatever waits gets this table of proposals, and succeeds."""
    content = io.BytesIO()
    pq.write_table(table, content)

    def work() -> None:
        http = TestClient(create_app(master))
        found: list[Any] = []

        def waits() -> bool:
            found[:] = http.get("/api/jobs?state=WAITING&q=toy-propose").json()["items"]
            return bool(found)

        wait_until(waits)
        path = f"/api/jobs/{found[0]['job_id']}/artifacts/artifacts/design/proposals.parquet"
        http.put(path, content=content.getvalue()).raise_for_status()
        change(master, found[0]["job_id"], state="SUCCEEDED")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)


def test_a_plate_is_proposed_by_a_job_with_the_flags_of_the_experiment(
    proteinx: Proteinx,
    served: str,
    master: Master,
    trained: str,
    tmp_path: Path,
) -> None:
    plate = pa.table(
        {"rank": [1, 2], "well": ["A1", "A2"], "mutant": ["Q2C", "Q2D"], "prediction": [1.0, 0.5]}
    )
    out, words = tmp_path / "plate.parquet", ("--n", "3", "design.goal=minimize", "--master", served)
    with a_node(master, plate):
        told = proteinx("propose", "toy", *words, "--out", str(out)).output
    assert "2 of 3 variants" in told
    assert pq.read_table(out).to_pydict() == plate.to_pydict()
    (job,) = json.loads(proteinx("list", "--where", "q=toy-propose", "--json", "--master", served).output)
    assert (job["source"], job["flags"]["split"]["folds"]) == ("TOY", 3)
    design = job["flags"]["design"]
    assert (design["library"], design["n"], design["goal"]) == ("singles", 3, "minimize")
    assert "not sent to a Master" in proteinx("propose", "--variants", "x.csv", *words, expect=2).output


def test_files_are_uploaded_and_what_was_understood_is_told(
    served: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proteinx: Proteinx,
) -> None:
    file = tmp_path / "lab.csv"
    file.write_text("mutant,score,other\n" + "".join(f"A2{x},{k},{k}\n" for k, x in enumerate("CDEFGH")))
    file.with_suffix(".json").write_text(json.dumps({"template": "MAVK"}))
    words = ("db", "import", str(file), "--master", served)
    (done,) = json.loads(proteinx(*words, "--scores", "score,other", "--json").output)
    assert (done["source"], done["rows"], done["template"], done["replaced"]) == ("lab", 6, "MAVK", False)
    assert done["database"] == f"{served}/api/datasets/{done['dataset_id']}"
    file.write_text(file.read_text() + "A2I,9,9\n")
    assert "Imported lab: 7 rows, version 2 ->" in proteinx(*words).output
    bad = tmp_path / "bad.csv"
    bad.write_text("mutant,score\nnothing,1\n")
    assert proteinx("db", "import", str(bad), "--template", "MAVK", "--master", served, expect=1).output
    refused = proteinx(*words, "--dry-run", "--replace", expect=2).output
    assert "--dry-run, --replace: not asked of a Master" in " ".join(refused.split())
    monkeypatch.setenv("PROTEINX_MASTER", served)
    place = str(tmp_path / "own.db")
    here: Result = CliRunner().invoke(
        main, ["db", "import", str(file), "--database", place, "--score-column", "score"]
    )
    assert f"-> {place}" in " ".join(here.output.split())
