"""`proteinx up`: it starts, mends and stops a whole node, and leaves nothing behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from proteinx_pipelines_tests.story.conftest import Node

pytestmark = [pytest.mark.story, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]


@pytest.fixture(scope="module")
def node(start_node: Callable[..., Node]) -> Node:
    return start_node(PROTEINX_NODE_NAME="up")


def part_of(node: Node, name: str) -> psutil.Process | None:
    """The process that works as a part now."""
    assert node.process is not None
    for process in psutil.Process(node.process.pid).children():
        words = process.cmdline()
        if name in words or (name == "redis" and any("valkey-server" in word for word in words)):
            return process
    return None


def answers(node: Node) -> bool:
    """Whether a message (one that is refused) is answered within 20 s."""
    node.redis.lpush("experiments", f"not json {time.time_ns()}")
    return node.redis.brpop(["experiments:results"], timeout=20) is not None


@pytest.mark.parametrize("name", ["code-server", "worker", "host", "daemon", "agent", "redis"])
def test_a_part_that_dies_is_started_again_within_5_s_and_the_node_goes_on(node: Node, name: str) -> None:
    before = part_of(node, name)
    assert before is not None
    before.kill()
    before.wait(5)
    end = time.monotonic() + 5
    while (again := part_of(node, name)) is None and time.monotonic() < end:
        time.sleep(0.05)
    assert again is not None
    assert again.pid != before.pid
    assert f"{name} was killed by SIGKILL" in node.log.read_text(encoding="utf-8")
    ready_again(node)
    assert answers(node)


def start_again(node: Node) -> None:
    """The next `proteinx up` on the same WORKDIR; what the last one said is cleared away."""
    node.log.write_text("", encoding="utf-8")
    node.start()


def ready_again(node: Node) -> None:
    """Wait until Redis answers and the heartbeat is there."""
    import redis

    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if node.redis.exists("nodes/up/heartbeat"):
                return
        except redis.RedisError:
            pass
        time.sleep(0.1)
    raise AssertionError("no heartbeat came back")


def test_an_experiment_runs_after_all_of_that(node: Node) -> None:
    result = node.run(
        "gb1-after", {"data": {"source": "GB1_Nisthal_2019", "limit": 200}, "evaluate": {"bootstrap": 0}}
    )
    assert result["status"] == "SUCCEEDED"


def test_a_second_one_refuses_and_says_who_is_there(node: Node) -> None:
    assert node.process is not None
    command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "up"]
    second = subprocess.run(
        command, env=node.environment, cwd=node.workdir, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert f"held by process {node.process.pid} on" in second.stderr
    assert answers(node)


def test_an_idle_node_rests(node: Node) -> None:
    """Waiting is blocking: less than a tenth of one core for all processes together, supervisor included."""
    assert node.process is not None
    supervisor = psutil.Process(node.process.pid)
    family = [supervisor, *supervisor.children(recursive=True)]

    def cpu_seconds() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in family)

    time.sleep(5)
    own, all_of_it = sum(supervisor.cpu_times()[:2]), cpu_seconds()
    time.sleep(20)
    assert sum(supervisor.cpu_times()[:2]) - own < 0.05
    assert cpu_seconds() - all_of_it < 2.0


def test_a_stop_in_the_middle_of_a_training_takes_less_than_15_s_and_it_goes_on_at_the_next_start(
    node: Node,
) -> None:
    long = {
        "data": {"source": "GB1_Nisthal_2019"}, "model": {"name": "mlp", "hidden_dims": [16]},
        "train": {"max_epochs": 40, "patience": None}, "evaluate": {"bootstrap": 0},
    }  # fmt: skip
    node.push("gb1-cut", long)
    end = time.monotonic() + 60
    while node.redis.hget("experiments:status:gb1-cut", "stage") != b"train" and time.monotonic() < end:
        time.sleep(0.1)
    assert node.stop() < 15
    start_again(node)
    result = node.pop()
    assert (result["experiment_id"], result["status"]) == ("gb1-cut", "SUCCEEDED")


def test_a_killed_supervisor_takes_its_parts_with_it_and_the_next_one_starts(node: Node) -> None:
    if sys.platform != "linux":
        pytest.skip("PR_SET_PDEATHSIG is Linux's")
    assert node.process is not None
    family = psutil.Process(node.process.pid).children(recursive=True)
    node.process.kill()
    node.process.wait()
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    start_again(node)
    assert answers(node)


def test_a_script_can_start_it_in_the_background_and_stop_it_with_sigint(
    start_node: Callable[..., Node],
) -> None:
    """A shell ignores SIGINT for its background jobs; `proteinx up` listens to it all the same."""
    other = start_node(PROTEINX_NODE_NAME="background")
    assert other.stop() < 15
    code = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'proteinx_pipelines.cli.main', 'up', '--no-web'])"
    )
    with other.log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=other.environment,
            cwd=other.workdir,
            stdout=stream,
            stderr=stream,
        )
    while "is ready" not in other.log.read_text(encoding="utf-8"):
        assert process.poll() is None
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 0
    _gone, alive = psutil.wait_procs(family, timeout=1)
    assert not alive
    assert json.loads((other.workdir / "run" / "redis.json").read_text())["pid"] not in psutil.pids()
