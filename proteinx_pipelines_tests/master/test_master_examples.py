"""The examples of the Master, run as people run them, against one real server."""

import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.examples import examples
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.metrics import BUILT_IN
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.conftest import TEMPLATE
from proteinx_pipelines_tests.master.conftest import TOY, serving
from proteinx_pipelines_tests.master.experiments import end, new_job

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BY_HTTP = EXAMPLES / "http"
MUTANTS = [f"{TEMPLATE[2]}3A", f"{TEMPLATE[2]}3W"]
CAPABLE = {
    "labels": ["a100"], "models": ["ridge", "gp"], "metrics": [*BUILT_IN],
    "embedders": [{"name": "onehot", "weights": "none"}],
}  # fmt: skip
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def one_master(
    tmp_path_factory: pytest.TempPathFactory, trained_workdir: Path
) -> Iterator[tuple[Master, str]]:
    """One Master for all examples, with a trained model and a node; and its address."""
    folder = tmp_path_factory.mktemp("examples")
    environment = {
        "PROTEINX_WORKDIR": str(trained_workdir), "PROTEINX_MASTER_DIR": str(folder / "master"),
        "PROTEINX_WEBHOOK_HOSTS": "127.0.0.1",
    }  # fmt: skip
    master = Master.open(load_master_settings(load_settings(environment, folder), environment))
    summary = {"test/spearman": 0.9}
    job_id = new_job(
        master, "toy", flags=parse_flags(TOY).nested(), source="TOY", summary=summary, generation=1
    )
    end(master, job_id)
    node = {"name": "gpu-1", "is_drained": False, "is_lost": False, "first_seen": timestamp()}
    beat = examples()["heartbeat.idle"].model_dump(mode="json")
    row = {**node, "last_seen": timestamp(), "heartbeat": beat, "capabilities": CAPABLE}
    master.database.write(lambda connection: connection.execute(insert(nodes).values(**row)))
    with serving(master) as address:
        yield master, address
    master.close()


@pytest.fixture
def bash(one_master: tuple[Master, str]) -> Callable[..., list[str]]:
    """Runs a script; the lines that it prints."""

    def run(script: Path, *words: str) -> list[str]:
        environment = {**os.environ, "PROTEINX_MASTER": one_master[1]}
        done = subprocess.run(
            ["bash", str(script), *words], env=environment, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.splitlines()

    return run


@pytest.fixture
def python(
    one_master: tuple[Master, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., list[str]]:
    """Runs a program in this process; the lines that it prints."""

    def run(program: Path, *words: str) -> list[str]:
        monkeypatch.setenv("PROTEINX_MASTER", one_master[1])
        monkeypatch.setattr(sys, "argv", [str(program), *words])
        runpy.run_path(str(program), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


@needs_curl
def test_jobs_with_curl(bash) -> None:
    printed = bash(EXAMPLES / "master_curl.sh", "GB1")
    assert printed[0].startswith("created j-")
    assert printed[1:] == ["WAITING", "10", "CANCELLED", "job.created", "job.moved", "job.state"]


def test_jobs_from_python(python, one_master) -> None:
    over, (master, _address) = threading.Event(), one_master
    values = {"state": "SUCCEEDED", "summary": {"test/spearman": 0.5}, "updated_at": "now"}
    ours = jobs.c.source == "from-python"
    waiting = update(jobs).where(jobs.c.state == "WAITING", ours).values(**values)

    def work() -> None:  # what nodes do
        while not over.wait(0.3):
            master.database.write(lambda connection: connection.execute(waiting))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        printed = "\n".join(python(EXAMPLES / "master_client.py", "from-python"))
    finally:
        over.set()
        worker.join()
    assert "is SUCCEEDED {'test/spearman': 0.5}" in printed
    assert "[3 rows" in printed


@needs_curl
def test_data_sets_with_curl(bash) -> None:
    printed = bash(BY_HTTP / "datasets.sh")
    assert printed[:5] == ["understood 4 rows, version 1", "curl", "curl", "CANCELLED", "mutant,score"]
    assert printed[-1].startswith("deleted ")


def test_data_sets_from_python(python) -> None:
    printed = python(BY_HTTP / "datasets.py")
    assert printed[0] == "understood 4 rows as the source lab"
    assert printed[-3:] == ["HELD lab", "CANCELLED", "True"]


@needs_curl
def test_files_with_curl(bash) -> None:
    printed = bash(BY_HTTP / "files.sh")
    assert printed == ["18", "model/weights.bin", "a model", "epoch 1", "SUCCEEDED"]


def test_files_from_python(python) -> None:
    assert python(BY_HTTP / "files.py") == [
        "model/weights.bin 18", "a model", "weights of a model", "['epoch 0', 'epoch 1', 'epoch 2']",
        "SUCCEEDED {'loss': 0.3333333333333333}",
    ]  # fmt: skip


@needs_curl
def test_models_with_curl(bash) -> None:
    printed = bash(BY_HTTP / "models.sh", *MUTANTS)
    assert printed[:2] == ["toy", "example"]
    assert [line.split(",")[0] for line in printed[2:5]] == ["mutant", *MUTANTS]
    assert printed[5] == "application/zip"


def test_models_from_python(python) -> None:
    printed = python(BY_HTTP / "models.py", *MUTANTS)
    assert printed[0].startswith("toy spearman [")
    assert [line.split()[1] for line in printed[2:]] == MUTANTS


@needs_curl
def test_groups_with_curl(bash) -> None:
    printed = bash(BY_HTTP / "groups.sh", "GB1")
    assert printed[0] == "4"
    assert "split.seed" in printed[1]
    assert printed[2:] == ["4 cancelled", "ENDED"]


def test_groups_from_python(python) -> None:
    printed = python(BY_HTTP / "groups.py", "GB1")
    assert sorted(printed[1:5]) == ["gp 1 WAITING", "gp 2 WAITING", "ridge 1 WAITING", "ridge 2 WAITING"]
    assert printed[5] == "4 rows"


@needs_curl
def test_webhooks_with_curl(bash) -> None:
    printed = bash(BY_HTTP / "webhooks.sh", "http://127.0.0.1:9/hooks")
    assert printed == ["job.created", "CANCELLED", "unsubscribed"]


def test_webhooks_from_python(python) -> None:
    assert python(BY_HTTP / "webhooks.py") == ["job.state CANCELLED True"]


@needs_curl
def test_nodes_with_curl(bash) -> None:
    assert bash(BY_HTTP / "nodes.sh") == ["True", "True", "False", "True", "False"]


def test_nodes_from_python(python) -> None:
    printed = python(BY_HTTP / "nodes.py")
    assert printed[0] == "gpu-1 works ['a100']"
    assert printed[1].endswith("runs")


def test_each_group_of_routes_has_both_and_the_readme_names_them() -> None:
    there = {file.name for file in BY_HTTP.iterdir() if file.suffix in (".py", ".sh")} - {"ask.sh"}
    nouns = {name.partition(".")[0] for name in there}
    assert there == {f"{noun}.{ending}" for noun in nouns for ending in ("py", "sh")}
    assert nouns >= {"datasets", "files", "models", "groups", "webhooks", "nodes"}
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [noun for noun in nouns if noun not in readme] == []
