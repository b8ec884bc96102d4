"""`proteinx up`: it starts, repairs and stops a whole node, and leaves nothing behind.

The strong forms: parts that die while they work, at random and over and over, in `chaos/test_chaos`; a stop in the
middle of a training in `chaos/test_stops`; the heartbeat behind a clean stop in `chaos/test_redis_faults`.
"""

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest
import redis

from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines_tests.programs import program
from proteinx_pipelines_tests.story import conftest
from proteinx_pipelines_tests.story.conftest import REPOSITORY, Node
from proteinx_pipelines_tests.waiting import wait_until

pytestmark = [pytest.mark.story, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]


PARTS = ["code-server", "worker", "host", "daemon", "agent", "redis"]


WHOLE = ("-m", "proteinx_pipelines.cli.main", "up")
"""A node with its pages and a Master; tests come in any order, so each start has all parts."""
AT_REST_MB = 700
"""Memory of a node that has executed nothing."""


@pytest.fixture(scope="module")
def started(make_node: Callable[..., Node]) -> tuple[Node, float]:
    """A node, and its memory before it executes anything: tests come in any order, and parts keep what they load."""
    found = make_node(PROTEINX_NODE_NAME="up")
    found.start(*WHOLE)
    seen = [float("inf")]
    if sys.platform == "linux":
        wait_until(lambda: "web is ready" in found.log.read_text(encoding="utf-8"))

        def is_small() -> bool:
            seen.append(memory_mb(found))
            return seen[-1] < AT_REST_MB

        with contextlib.suppress(AssertionError):  # told by the one test that is about it
            wait_until(is_small, pause_s=0.5)
    return found, min(seen)


@pytest.fixture(scope="module")
def node(started: tuple[Node, float]) -> Node:
    return started[0]


def memory_mb(node: Node) -> float:
    """Memory of all processes of a node, in 10^6 bytes; what they share is divided among them."""
    assert node.process is not None
    return sum(process.memory_full_info().pss for process in conftest.family_of(node.process.pid)) / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="proportional memory is Linux's")
def test_an_idle_node_is_small_and_holds_no_pytorch(started: tuple[Node, float]) -> None:
    """With its web server and a Master: 580 MB measured, of 800 promised; 1,400 without the fork server."""
    node, at_rest_mb = started
    assert node.process is not None
    assert at_rest_mb < AT_REST_MB
    family = conftest.family_of(node.process.pid)
    assert len(family) >= 9
    mapped = [found.path for process in family for found in process.memory_maps()]
    assert not [path for path in mapped if "libtorch" in path]
    assert is_executed(node, "gb1-first", seed=50)
    wait_until(lambda: memory_mb(node) < 850, pause_s=0.5)  # 740 measured


def answering_port(file: Path) -> int:
    """Port in a file that says where a server is, once it answers: one that was killed leaves its file behind."""
    found = [0]

    def answers_there() -> bool:
        with contextlib.suppress(OSError, ValueError, httpx.HTTPError):  # it is starting, or writing the file
            found[0] = int(json.loads(file.read_text(encoding="utf-8"))["port"])
            return httpx.get(f"http://127.0.0.1:{found[0]}/metrics", timeout=10).status_code == 200
        return False

    wait_until(answers_there, pause_s=0.5)
    return found[0]


def test_a_prometheus_scrapes_the_node_and_its_master_and_finds_nothing_wrong_with_the_rules(
    node: Node, tmp_path: Path
) -> None:
    """The real server on the web part of a real node: both answer as it expects, and the alerts load."""
    prometheus = program("prometheus")
    ports = [answering_port(node.workdir / where) for where in ("run/web.json", "master/master.json")]
    assert is_executed(node, "gb1-scraped", seed=51)
    (tmp_path / "alerts.yml").write_bytes((REPOSITORY / "deploy" / "prometheus" / "alerts.yml").read_bytes())
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for name, port in zip(("proteinx-node", "proteinx-master"), ports, strict=True)
    ]
    every = {"scrape_interval": "2s", "evaluation_interval": "2s", "scrape_timeout": "2s"}
    config = {"global": every, "rule_files": ["alerts.yml"], "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    url = f"127.0.0.1:{free_port()}"
    words = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={url}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([prometheus, *words], cwd=tmp_path, stdout=log, stderr=log)
    try:

        def ask(expression: str) -> dict[str, float]:
            """Value by the label `part`, `job` or `node`; nothing while it does not answer."""
            try:
                answer = httpx.get(f"http://{url}/api/v1/query", params={"query": expression}, timeout=10)
                found = answer.raise_for_status().json()["data"]["result"]
            except httpx.HTTPError:
                return {}
            labels = ("part", "job", "node")
            return {
                next(each["metric"][name] for name in labels if name in each["metric"]): float(
                    each["value"][1]
                )
                for each in found
            }

        wait_until(lambda: ask("up") == {"proteinx-node": 1, "proteinx-master": 1}, pause_s=0.5)
        wait_until(lambda: ask("proteinx_build_info") == {"node": 1, "master": 1}, pause_s=0.5)
        wait_until(lambda: ask("sum by (node) (proteinx_part_up)") == {"up": 6}, pause_s=0.5)
        wait_until(lambda: ask("sum by (node) (proteinx_node_up)") == {"up": 1}, pause_s=0.5)
        wait_until(
            lambda: ask('sum by (node) (proteinx_stages_total{action="computed"})').get("up", 0) >= 6,
            pause_s=0.5,
        )
        rules = httpx.get(f"http://{url}/api/v1/rules", timeout=10).json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # unknown: not evaluated yet
    finally:
        process.terminate()
        process.wait(30)


def part_of(node: Node, name: str) -> psutil.Process | None:
    """The process that works as a part now."""
    assert node.process is not None
    for process in psutil.Process(node.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            words = process.cmdline()
            if name in words or (name == "redis" and any("valkey-server" in word for word in words)):
                return process
    return None


def answers(node: Node) -> bool:
    """True if a message (one that is refused) is answered."""
    node.redis.lpush("experiments", f"not json {time.time_ns()}")
    return node.redis.brpop(["experiments:results"], timeout=60) is not None


def test_parts_that_die_are_started_again_within_5_s_and_the_node_goes_on(node: Node) -> None:
    """One after the other, none of them given the time to become ready; what runs afterwards needs each of them."""
    took = []
    for name in PARTS:
        wait_until(lambda name=name: part_of(node, name))
        before = part_of(node, name)
        assert before is not None
        before.kill()
        before.wait(20)
        began = time.monotonic()
        wait_until(lambda name=name, before=before: part_of(node, name) not in (None, before))
        took.append(time.monotonic() - began)
        assert f"{name} was killed by SIGKILL" in node.log.read_text(encoding="utf-8")
    assert statistics.median(took) < 5, took  # a busy machine makes one longer, not most of them
    ready_again(node)
    assert is_executed(node, "gb1-after", seed=0)
    assert answers(node)
    assert node.redis.llen("experiments:results") == 0


def is_executed(node: Node, experiment_id: str, seed: int) -> bool:
    """True if an experiment of a second succeeds; with a seed of its own it is computed, not taken from another one."""
    flags = {
        "data": {"source": "GB1_Nisthal_2019", "limit": 200},
        "split": {"seed": 100 + seed},
        "evaluate": {"bootstrap": 0, "plots": False},
    }
    result = node.run(experiment_id, flags)
    return (result["status"], result["stages"]["train"]) == ("SUCCEEDED", "computed")


def start_again(node: Node) -> None:
    """The next `proteinx up` on the same WORKDIR, with all parts; what the last one said is cleared away."""
    node.log.write_text("", encoding="utf-8")
    node.start(*WHOLE)


def ready_again(node: Node) -> None:
    """Wait until Redis answers and a heartbeat has come since; one from before lives on for 15 s."""
    is_old = True

    def beats() -> bool:
        nonlocal is_old
        with contextlib.suppress(redis.RedisError, OSError, ValueError):  # its address is being written
            if is_old:
                node.redis.delete("nodes/up/heartbeat")
                is_old = False
            return bool(node.redis.exists("nodes/up/heartbeat"))
        return False

    wait_until(beats)


def test_a_second_one_refuses_and_says_who_is_there(node: Node) -> None:
    assert node.process is not None
    command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "up"]
    second = subprocess.run(
        command, env=node.environment, cwd=node.workdir, capture_output=True, text=True, timeout=180
    )
    assert second.returncode == 1
    assert f"held by process {node.process.pid} on" in second.stderr
    assert answers(node)


def test_an_idle_node_rests(node: Node) -> None:
    """Waiting is blocking: a tenth of one core for all processes together; twice as much on a machine that is busy."""
    assert node.process is not None
    supervisor = psutil.Process(node.process.pid)
    family = [supervisor, *supervisor.children(recursive=True)]

    def cpu_seconds() -> tuple[float, float]:
        own, *others = (sum(process.cpu_times()[:2]) for process in family)
        return own, own + sum(others)

    used = []
    # What comes after a start may last a while, and tests beside it may share the core: it rests in one of these.
    for _ in range(24):
        before = cpu_seconds()
        time.sleep(10)
        used.append(tuple(after - began for after, began in zip(cpu_seconds(), before, strict=True)))
        if used[-1][0] < 0.1 and used[-1][1] < 2.5:
            return
    pytest.fail(f"seconds of processor in ten (supervisor, all): {used}")


def test_a_killed_supervisor_takes_its_parts_with_it_and_the_next_one_starts(node: Node) -> None:
    if sys.platform != "linux":
        pytest.skip("PR_SET_PDEATHSIG is Linux's")
    assert node.process is not None
    family = psutil.Process(node.process.pid).children(recursive=True)
    node.process.kill()
    node.process.wait()
    _gone, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    start_again(node)
    assert answers(node)


def test_a_script_can_start_it_in_the_background_and_stop_it_with_sigint(
    make_node: Callable[..., Node],
) -> None:
    """A shell ignores SIGINT for its background jobs; `proteinx up` listens to it all the same."""
    other = make_node(PROTEINX_NODE_NAME="background")
    code = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"os.execv(sys.executable, [sys.executable, *{conftest.UP!r}])"
    )
    other.start("-c", code)
    assert other.stop(signal.SIGINT) < conftest.STOP_WITHIN_S
    assert other.process is not None
    assert other.process.returncode == 0
    assert json.loads((other.workdir / "run" / "redis.json").read_text())["pid"] not in psutil.pids()


def test_a_node_that_is_not_ready_in_time_is_not_left_running(
    make_node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of these stories themselves: it was left beside all that came after it."""
    monkeypatch.setattr(conftest, "READY_WITHIN_S", 3.0)
    late = make_node(PROTEINX_NODE_NAME="late")
    with pytest.raises(AssertionError, match="did not become ready"):
        late.start()
    assert late.process is not None
    assert late.process.poll() is not None
    name, workdir = "PROTEINX_WORKDIR", str(late.workdir)
    living = (process.info["environ"] or {} for process in psutil.process_iter(["environ"]))
    assert workdir not in [environment.get(name) for environment in living]
