"""Any stopped part of a node (SIGSTOP) is replaced, including the agent and the daemon; `doctor` reports it.

What counts as stopped, and for how long, is in `node/test_part_watch`; the doctor's words in `cli/test_doctor`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import HERE, SOURCE
from proteinx_pipelines_tests.chaos.test_stops import wait_for
from proteinx_pipelines_tests.chaos.trials import how_often, waits_in_vain
from proteinx_pipelines_tests.story.conftest import DEMO, Node, family_of

pytestmark = pytest.mark.story
QUICK = {"data": {"source": SOURCE}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 10}}
PARTS = ("agent", "daemon", "code-server", "host", "worker")


def start(tmp_path_factory: pytest.TempPathFactory, early: str) -> Node:
    workdir = tmp_path_factory.mktemp("node")
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    path = os.pathsep.join([str(HERE / "early"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = Node(workdir, {"PYTHONPATH": path, "CHAOS_EARLY": early, "OMP_NUM_THREADS": "1"})
    found.start()
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    found = start(tmp_path_factory, "" if how_often(0, 1) else "short_stall")
    yield found
    found.stop()


def pid_of(node: Node, part: str) -> int | None:
    """The process that works as a part now."""
    assert node.process is not None
    for process in family_of(node.process.pid):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if words[-1:] == [part] and process.status() != psutil.STATUS_ZOMBIE and is_first(process):
            return process.pid
    return None


def is_first(process: psutil.Process) -> bool:
    """Celery's step process has the command line of its parent."""
    try:
        parent = process.parent()
        return parent is None or parent.cmdline() != process.cmdline()
    except psutil.Error:
        return True


def doctor(node: Node) -> tuple[int, list[str]]:
    """The exit code of `proteinx doctor`, and what it says of the parts that is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", "doctor", "--json"],
        env=node.environment, cwd=node.workdir, capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = [found["text"] for found in json.loads(done.stdout) if found["level"] == "wrong"]
    return done.returncode, wrong


@pytest.mark.parametrize("parts", [PARTS, *how_often(0, 1) * [(part,) for part in PARTS]], ids=" ".join)
def test_stopped_parts_are_replaced_and_the_node_goes_on(node: Node, parts: tuple[str, ...]) -> None:
    """All of them at the same moment; with CHAOS_FULL each alone as well."""
    before = {part: pid for part in parts if (pid := pid_of(node, part)) is not None}
    assert before.keys() == set(parts)
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    for part, pid in before.items():
        wait_for(lambda part=part, pid=pid: pid_of(node, part) not in (None, pid), within_s=150)
    flags = {**QUICK, "split": {"seed": 10 * len(parts) + PARTS.index(parts[0])}}
    result = node.run(f"after-{'-'.join(parts)}", flags)
    assert (result["status"], result["stages"]["train"]) == ("SUCCEEDED", "computed")
    assert not [part for part, pid in before.items() if psutil.pid_exists(pid)]


@waits_in_vain
def test_without_the_watch_a_stopped_agent_stays_and_the_doctor_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    node = start(tmp_path_factory, "short_stall,unwatched")
    try:
        agent = pid_of(node, "agent")
        assert agent is not None
        os.kill(agent, signal.SIGSTOP)
        node.run("one", QUICK)  # seconds, and longer than the limit of the watch
        code, wrong = doctor(node)
        assert code == 1
        assert any("agent" in text and "kill -CONT" in text for text in wrong)
        assert pid_of(node, "agent") == agent
        os.kill(agent, signal.SIGCONT)
    finally:
        node.stop()
