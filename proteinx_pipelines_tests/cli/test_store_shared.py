"""`proteinx store status|push|pull`, `gc --shared` and what `doctor` says of the store that machines share."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proteinx_pipelines.cli.main import main
from proteinx_pipelines_tests.execution.conftest import write_catalog

FLAGS = ("data.source=TOY", "evaluate.bootstrap=0", "evaluate.plots=false")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROTEINX_STORE", (tmp_path / "shared").as_uri())
    return machine(tmp_path / "here", monkeypatch)


def machine(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workdir.mkdir()
    write_catalog(workdir / "database.db", n_singles=60, n_doubles=10)
    monkeypatch.setenv("PROTEINX_WORKDIR", str(workdir))
    return workdir


def run(*arguments: str, expect: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == expect, result.output
    return result


def answer(*arguments: str, expect: int = 0) -> dict[str, Any]:
    return dict(json.loads(run(*arguments, "--json", expect=expect).output))


def test_an_experiment_goes_to_the_store_and_comes_back_on_another_machine(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("train", *FLAGS, "--id", "gb1")
    before = answer("store", "status")
    assert (before["answers"], before["waiting"]) == (
        True,
        {"stages": 6, "shards": 0, "experiments": 1, "archives": 0},
    )
    assert answer("store", "push")["sent"] > 6
    after = answer("store", "status")
    assert after["waiting"] == {"stages": 0, "shards": 0, "experiments": 0, "archives": 0}
    assert after["bytes"]["experiments"] > 10_000
    assert "Waiting to be sent: nothing." in run("store", "status").output

    lineage = run("lineage", "gb1").output
    there = machine(tmp_path / "there", monkeypatch)
    pulled = answer("store", "pull", "gb1")
    assert Path(pulled["directory"]) == there / "experiments" / "gb1"
    for name in pulled["files"]:
        assert (there / "experiments" / "gb1" / name).read_bytes() == (
            here / "experiments" / "gb1" / name
        ).read_bytes()
    assert run("lineage", "gb1").output == lineage
    assert "an experiment of this WORKDIR already" in run("store", "pull", "gb1", expect=1).output
    assert "no experiment of this id" in run("store", "pull", "other", expect=1).output
    run("train", *FLAGS, "--id", "again")
    stages = json.loads((there / "experiments" / "again" / "experiment.json").read_text())["stages"]
    assert set(stages.values()) == {"taken", "computed"}
    assert stages["train"] == "taken"


def test_everything_of_a_workdir_that_had_no_store_can_be_sent(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = (here.parent / "shared").as_uri()
    monkeypatch.delenv("PROTEINX_STORE")
    run("train", *FLAGS, "--id", "gb1")
    assert "PROTEINX_STORE" in run("store", "push", expect=1).output
    assert answer("store", "status")["store"] is None
    monkeypatch.setenv("PROTEINX_STORE", store)
    assert answer("store", "push")["sent"] == 0
    assert answer("store", "push", "--all")["sent"] > 6
    assert answer("store", "gc", "--shared", "--max-gb", "0", "--dry-run")["removed"] is False
    assert len(answer("store", "gc", "--shared", "--max-gb", "0")["entries"]) == 6
    assert answer("store", "status")["bytes"]["objects"] == 0
    assert "PROTEINX_STORE_MAX_GB" in run("store", "gc", "--shared", expect=2).output


def test_an_archive_goes_to_the_store_and_is_restored_on_another_machine(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("train", *FLAGS, "--id", "gb1")
    report = (here / "experiments" / "gb1" / "artifacts" / "report.json").read_bytes()
    run("experiment", "archive", "gb1")
    assert answer("store", "status")["waiting"]["archives"] == 1
    run("store", "push")
    machine(tmp_path / "there", monkeypatch)
    back = answer("experiment", "restore", "gb1")
    assert (Path(back["directory"]) / "artifacts" / "report.json").read_bytes() == report
    machine(tmp_path / "third", monkeypatch)
    stored = tmp_path / "shared" / "experiments" / "gb1" / "1" / "archive.tar"
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    assert "recorded is" in run("experiment", "restore", "gb1", expect=1).output
    assert "nor in file://" in run("experiment", "restore", "other", expect=1).output


def test_a_file_is_pushed_and_its_reference_is_an_experiments_payload(here: Path, tmp_path: Path) -> None:
    rows = "mutant,DMS_score,mutated_sequence\n" + "".join(
        f"M1{letter},{number},{letter}KVAGT\n" for number, letter in enumerate("ACDEFGHIKLNPQRSTVWY")
    )
    (tmp_path / "toy.csv").write_text(rows)
    (reference,) = answer("store", "push", str(tmp_path / "toy.csv"))["references"].values()
    assert run("store", "push", str(tmp_path / "toy.csv")).output.strip() == reference
    run("train", "data.source=toy", *FLAGS[1:], "--payload", reference, "--id", "by-reference")
    assert "no such file" in run("store", "push", str(tmp_path / "none.csv"), expect=1).output


def test_doctor_tells_whether_the_store_answers(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str, str]]:
        found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
        return [(each["level"], each["text"]) for each in found if each["topic"] == "store"]

    ((level, text),) = told()
    assert level == "ok"
    assert "answers in" in text
    assert list((tmp_path / "shared").rglob("*.*")) == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROTEINX_STORE", (tmp_path / "file").as_uri())
    ((level, text),) = told()
    assert level == "warning"
    assert "Experiments run without it" in text
    assert answer("store", "status", expect=1)["answers"] is False
    monkeypatch.delenv("PROTEINX_STORE")
    assert told() == []
