"""`--json` in every command that ends by itself, and each document as docs/commands.md describes it."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog

WITHOUT = {
    "up",
    "rank",
    "fork-server",
    "node",
    "mcp",
    "demo",
    "redis",
    "code-server",
    "daemon",
    "host",
    "worker",
    "agent",
    "web",
    "completion",
}
"""Commands that run until they are stopped, or whose text another program reads; the page says so."""


def leaves(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Every command that is not a group: `store gc` -> command."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= leaves(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


COMMANDS = leaves(main)


@pytest.fixture(scope="session")
def described(repository: Path) -> dict[str, set[str]]:
    """Command -> the fields that the page has for it."""
    page = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (.+)$", page, flags=re.MULTILINE)[1:]
    return {
        name: {
            field
            for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
            for field in re.findall(r"`([^`]+)`", row)
        }
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json_and_is_on_the_page(name, described) -> None:
    options = {option for param in COMMANDS[name].params for option in param.opts}
    assert ("--json" in options) != (name in WITHOUT)
    assert (name in described) != (name in WITHOUT)


def test_the_page_describes_no_command_that_is_not_there(described) -> None:
    assert {name.removesuffix(" --now") for name in described} - {"Completion"} <= set(COMMANDS)


def fields_of(document: Any) -> set[str]:
    """Names of the fields of a document, or of every object in a list."""
    if isinstance(document, list):
        assert document, "an empty list shows no fields"
        return set().union(*(set(entry) for entry in document))
    return set(document)


@pytest.fixture
def one_of_each(history, monkeypatch):
    """Experiments in several states, a refused message, a catalog."""
    write_catalog(history.settings.database_path, n_singles=40, n_doubles=0)
    history.end("done")
    history.end("bad", Outcome("FAILED", "stage_failed", "No.", None))
    history.begin("runs")
    history.arrive("waits")
    history.intake.ingest(b'{"experiment_id": "done", "flags": {"data": {"source": "x"}}, "message_id": "m"}')
    monkeypatch.setattr("proteinx_pipelines.services.cancelling.WAIT_S", 0.0)
    return history


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list", ()),
        ("show", ("waits",)),
        ("dead", ()),
        ("cancel", ("runs",)),
        ("replay", ("bad",)),
        ("submit", ("data.source=TOY", "--id", "new")),
        ("plan", ("data.source=TOY",)),
        ("models", ()),
        ("flags", ("train",)),
        ("docs", ("flags",)),
        ("doctor", ()),
        ("master token", ()),
        ("init", ()),
        ("db list", ()),
        ("db show", ("TOY",)),
        ("db describe", ("TOY",)),
        ("db export", ("TOY", "WORKDIR/toy.csv")),
        ("db rename", ("TOY", "other")),
        ("db rm", ("TOY", "--yes")),
        ("experiment rm", ("done", "--yes")),
        ("store verify", ()),
        ("store gc", ()),
    ],
)
def test_a_document_has_the_fields_of_the_page(described, one_of_each, name, arguments) -> None:
    workdir = str(one_of_each.settings.workdir)
    written = [each.replace("WORKDIR", workdir) for each in arguments]
    run = CliRunner().invoke(main, [*name.split(), *written, "--json"])
    assert run.exit_code in (0, 1), run.output
    assert fields_of(json.loads(run.stdout)) <= described[name] | (
        described["list"] if name == "show" else set()
    )
    missing = described[name] - fields_of(json.loads(run.stdout))
    assert not missing


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A WORKDIR with two experiments by hand, `a` and `b`."""
    folder = tmp_path_factory.mktemp("trained")
    settings = load_settings({"PROTEINX_WORKDIR": str(folder / "w")}, folder)
    settings.workdir.mkdir()
    write_catalog(settings.database_path, n_singles=60, n_doubles=0)
    printed = {}
    for name, alpha in (("a", 1), ("b", 30)):
        arguments = ["train", "data.source=TOY", f"model.alpha={alpha}", "evaluate.bootstrap=20"]
        run = CliRunner().invoke(
            main, [*arguments, "--id", name, "--json"], env={"PROTEINX_WORKDIR": str(settings.workdir)}
        )
        assert run.exit_code == 0, run.output
        printed[name] = json.loads(run.stdout)
    return settings, printed


def test_a_training_prints_its_document_and_nothing_else(described, trained) -> None:
    assert fields_of(trained[1]["a"]) == described["train"]
    assert Path(trained[1]["a"]["report"]).is_file()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("compare", ("a", "b", "--resamples", "20")),
        ("diff", ("a", "b")),
        ("diff --now", ("a", "--now")),
        ("lineage", ("a",)),
        ("plots", ("a",)),
        ("store ls", ("--entries",)),
        ("logs", ("a",)),
    ],
)
def test_documents_about_finished_experiments_have_the_fields_of_the_page(
    described, trained, name, arguments
) -> None:
    run = CliRunner().invoke(
        main, [*name.removesuffix(" --now").split(), *arguments, "--json"],
        env={"PROTEINX_WORKDIR": str(trained[0].workdir)},
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    document = (
        [json.loads(line) for line in run.stdout.splitlines()] if name == "logs" else json.loads(run.stdout)
    )
    assert fields_of(document) == described[name]


def test_models_and_proposals_have_the_fields_of_the_page(described, trained, tmp_path, monkeypatch) -> None:
    work = shutil.copytree(trained[0].workdir, tmp_path / "w")
    monkeypatch.setenv("PROTEINX_WORKDIR", str(work))

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(main, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    predicted = run("predict", "a", "--singles", "--out", str(tmp_path / "singles.csv"))
    of_several = {"prediction:NAME", "deviation:NAME", "p_constraints", "front"}  # with `data.properties`
    assert fields_of(predicted) == described["predict"] - of_several
    assert len((tmp_path / "singles.csv").read_text().splitlines()) == 1 + len(predicted)
    proposed = run("propose", "a", "--n", "3", "design.controls=2")
    assert fields_of(proposed) | {"dna", "clones"} | of_several == described["predict"] | described["propose"]
    assert [row["rank"] for row in proposed] == [0, 0, 1, 2, 3]
    enough, few = (
        CliRunner().invoke(main, ["propose", "a", "--n", n, "design.beta=3"]).stderr for n in ("3", "5000")
    )
    assert "Note: `design.beta` is read only with `design.acquisition` ucb." in enough
    assert "of 3 variants" not in enough
    assert "of 5,000 variants: the rest of the library singles is measured" in few  # it wrote 73 in silence
    folder = str(tmp_path / "model")
    assert run("model", "export", "a", "--out", folder) == {"experiment_id": "a", "folder": folder}
    assert described["model export"] == {"experiment_id", "folder"}
    verified = run("model", "verify", folder)
    assert set(verified) == described["model verify"]
    assert "card.json" in verified["files"]
    assert set(run("model", "card", folder)) == described["model card"]


def test_campaigns_have_the_fields_of_the_page(described, trained, tmp_path, monkeypatch) -> None:
    work = shutil.copytree(trained[0].workdir, tmp_path / "w")
    monkeypatch.setenv("PROTEINX_WORKDIR", str(work))
    flags = ("data.source=TOY", "design.n=3", "evaluate.bootstrap=20", "evaluate.plots=false", "--id", "toy")
    for words in (("start", *flags), ("propose",), ("status",)):
        run = CliRunner().invoke(main, ["round", *words, "--json"])
        assert run.exit_code == 0, run.output
        assert set(json.loads(run.stdout)) == described[f"round {words[0]}"] == described["round measured"]
        assert "the rest of the library" not in run.stderr
    other = CliRunner().invoke(main, ["round", "propose", "design.source=other"])
    assert other.exit_code == 1
    assert (
        "`design.source` names other; every round is about its own data, which begin with TOY" in other.stderr
    )
    short = CliRunner().invoke(main, ["round", "propose", "--n", "5000", "design.best=7", "--json"])
    assert "Note: `design.best` is read only with `design.library` doubles or recombine." in short.stderr
    assert "of 5,000 variants: the rest of the library" in short.stderr
    experiment = json.loads(short.stdout)["rounds"][-1]["experiment_id"]
    report = (work / "experiments" / experiment / "artifacts" / "report.html").read_text(encoding="utf-8")
    assert "where 5000 were asked for" in report


def test_simulations_have_the_fields_of_the_page(described, trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PROTEINX_WORKDIR", str(trained[0].workdir))
    words = [
        "simulate",
        "data.source=TOY",
        "--start=10",
        "--rounds=2",
        "--batch=5",
        "--seeds=2",
        "--processes=1",
    ]
    printed = CliRunner().invoke(main, [*words, "--json"])
    assert printed.exit_code == 0, printed.output
    document = json.loads(printed.stdout)
    assert set(document) == described["simulate"]
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    again = CliRunner().invoke(main, [*words, "--json", str(out), "--page", str(page)])
    assert again.exit_code == 0, again.output
    written = json.loads(out.read_text())
    assert [rule["ends"] for rule in written["rules"]] == [rule["ends"] for rule in document["rules"]]
    assert "Best variant so far" in page.read_text()
    wrong = CliRunner().invoke(main, ["simulate", "--json", "data.source=TOY"])
    assert wrong.exit_code == 2
    assert "looks like a flag" in wrong.stderr


def test_archives_and_imports_have_the_fields_of_the_page(described, trained, tmp_path, monkeypatch) -> None:
    work = shutil.copytree(trained[0].workdir, tmp_path / "w")
    monkeypatch.setenv("PROTEINX_WORKDIR", str(work))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(main, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert fields_of(run("experiment", "archive", "a")) == described["experiment archive"]
    assert fields_of(run("experiment", "restore", "a")) == described["experiment restore"]
    (tmp_path / "x.csv").write_text("mutant,DMS_score\nA1C,1.0\nA1D,2.0\n")
    arguments = ("db", "import", "x.csv", "--template", "ACDE")
    looked, done = run(*arguments, "--dry-run"), run(*arguments)
    assert fields_of([*looked, *done]) == described["db import"]
    assert (looked[0]["imported"], done[0]["imported"]) == (False, True)


def test_waiting_prints_the_result_alone(proteinx, one_of_each) -> None:
    import threading

    def node() -> None:
        while one_of_each.intake.take_waiting() == 0:
            time.sleep(0.05)
        one_of_each.end("quick")

    thread = threading.Thread(target=node)
    thread.start()
    run = CliRunner().invoke(main, ["submit", "data.source=TOY", "--id", "quick", "--wait", "--json"])
    thread.join()
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["status"] == "SUCCEEDED"
    assert connect(one_of_each.settings.redis_url).ping()
