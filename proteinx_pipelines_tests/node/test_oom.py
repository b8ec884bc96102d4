"""A step process that the kernel kills for memory ends its experiment as `out_of_memory`; any other kill is a loss."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.node.lifecycle import oom
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines_tests.node.world import World, is_gone

COUNT = "under_oom 0\noom_kill {}\n"


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the kernel's count for this process."""
    group(tmp_path, monkeypatch, "0::/node\n", {})
    path = tmp_path / "cgroup" / "node" / "memory.events"
    path.parent.mkdir(parents=True)

    def count(kills: int) -> None:
        path.write_text(COUNT.format(kills), encoding="ascii")

    return count


def group(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: dict[str, int]) -> None:
    """The kernel's view of this process, made of files."""
    process = folder / "proc" / str(os.getpid())
    process.mkdir(parents=True)
    (process / "cgroup").write_text(line, encoding="ascii")
    for name, kills in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(COUNT.format(kills), encoding="ascii")
    monkeypatch.setattr(oom, "PROC", folder / "proc")
    monkeypatch.setattr(oom, "CGROUPS", folder / "cgroup")


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/a.slice/node.service\n", {"a.slice/node.service/memory.events": 3}, 3),
        ("0::/\n", {"memory.events": 4}, 4),
        ("0::/docker/1a2b\n", {"memory.events": 5}, 5),
        ("9:name=systemd:/\n4:memory:/node\n0::/\n", {"memory/node/memory.oom_control": 6}, 6),
        ("4:memory:/docker/1a2b\n0::/\n", {"memory/memory.oom_control": 7}, 7),
        ("3:cpu,cpuacct:/a\n0::/a\n", {}, None),
        ("", {}, None),
    ],
    ids=[
        "version 2",
        "own root",
        "container",
        "version 1",
        "container, version 1",
        "no memory group",
        "none",
    ],
)
def test_the_count_is_found_in_every_layout(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    files: dict[str, int],
    expected: int | None,
) -> None:
    group(tmp_path, monkeypatch, line, files)
    assert oom.count_oom_kills(world.settings) == expected


def killed(world: World, step_process: Callable[[], int], by_host: bool) -> None:
    """An attempt whose step process vanishes; the run host notices it, or no process does."""
    pid = step_process()
    current = world.begin(pid=pid, retries=5)
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    if by_host:
        finish_attempt(world.settings, world.state, current, RunEnd.FAILURE)
    else:
        world.reconciler.look()


@pytest.mark.parametrize(
    "by_host", [True, False], ids=["the run host hears of it", "the reconciler finds it"]
)
def test_a_kill_for_memory_is_final_and_says_what_to_do(
    world: World, step_process: Callable[[], int], counter: Callable[[int], None], by_host: bool
) -> None:
    """It used to be taken for a lost worker, and the same experiment filled the memory eleven times."""
    counter(0)
    world.oom_kills = 0
    counter(1)
    killed(world, step_process, by_host)
    (result,) = world.results()
    assert (result["status"], result["error"]["code"], result["attempt"]) == ("FAILED", "out_of_memory", 1)
    assert "during train" in result["error"]["message"]


@pytest.mark.parametrize(
    "by_host", [True, False], ids=["the run host hears of it", "the reconciler finds it"]
)
@pytest.mark.parametrize("before", [1, None], ids=["nothing counted since", "nothing counts"])
def test_another_kill_is_a_loss(
    world: World,
    step_process: Callable[[], int],
    counter: Callable[[int], None],
    by_host: bool,
    before: int | None,
) -> None:
    counter(1)
    world.oom_kills = before
    killed(world, step_process, by_host)
    assert world.results() == []
    assert (world.latest().attempt, world.latest().losses) == (2, 1)


# ---------------------------------------------------------------------- the kernel itself
@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of this machine with 64 MB of memory."""
    lines = (
        Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines() if sys.platform == "linux" else []
    )
    paths = dict(line.split(":", 2)[1:] for line in lines)
    version = 1 if "memory" in paths else 2
    mount = oom.CGROUPS / ("memory" if version == 1 else "")
    folder = mount / paths.get("memory", paths.get("", "/")).lstrip("/") / f"proteinx-test-{os.getpid()}"
    try:
        folder.mkdir()
        limit = "memory.limit_in_bytes" if version == 1 else "memory.max"
        (folder / limit).write_text(str(64 * 1024**2), encoding="ascii")
    except OSError as error:
        folder.is_dir() and folder.rmdir()
        pytest.skip(f"only where control groups of memory may be made: {error}")
    yield folder
    folder.rmdir()


def test_the_kernel_counts_what_it_kills(small_group: Path) -> None:
    """A worker that waits, and its child that takes more memory than there is."""
    join = f"open({str(small_group / 'cgroup.procs')!r}, 'w').write('0')"
    worker = subprocess.Popen(
        [sys.executable, "-c", f"{join}; print('in', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert worker.stdout is not None
    worker.stdout.readline()
    before = next(oom._counts(worker.pid))
    hungry = subprocess.run([sys.executable, "-c", f"{join}; bytearray(512 * 1024 ** 2)"], check=False)
    assert hungry.returncode == -signal.SIGKILL
    assert next(oom._counts(worker.pid)) == before + 1
    worker.communicate(b"\n")
