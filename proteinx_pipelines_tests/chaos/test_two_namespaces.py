"""One training on two machines that share nothing but a cable: `make chaos SCENARIO=two_namespaces`, some minutes.

Each machine is a network namespace of Linux, and the cable a pair of `veth`. The rank of one machine is killed, and the
next attempt continues. The same on one network, without root, is in `execution/test_many_nodes`.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from proteinx_pipelines.experiment_dir.json_lines import read_json_lines
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.dask_cluster import REPOSITORY
from proteinx_pipelines_tests.execution.conftest import settings
from proteinx_pipelines_tests.execution.test_folds_are_kept import fitted_by
from proteinx_pipelines_tests.execution.test_many_nodes import flags, weights

__all__ = ["settings"]  # a fixture; not the one of a whole node

HERE, THERE, PORT = "10.77.0.1", "10.77.0.2", "29500"
LOST = 7
"""Exit code of an attempt that has lost a machine."""
ATTEMPT = f"""
import sys
from proteinx_pipelines.errors import WorkerLost
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.test_folds_are_kept import fitted_by
from proteinx_pipelines_tests.execution.test_many_nodes import flags
try:
    fitted_by(load_settings(), "many", flags(num_nodes=2), number=int(sys.argv[1]))
except WorkerLost as error:
    print(error)
    sys.exit({LOST})
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not how_often(0, 1), reason="with CHAOS_FULL only: nine processes that load PyTorch"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs `ip` of iproute2"),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    mark = secrets.token_hex(3)
    here, there = f"px-{mark}-a", f"px-{mark}-b"
    ends = ((here, f"a{mark}", HERE), (there, f"b{mark}", THERE))
    try:
        try:
            for name, _, _ in ends:
                ip("netns", "add", name)
            ip(
                "link",
                "add",
                ends[0][1],
                "netns",
                here,
                "type",
                "veth",
                "peer",
                "name",
                ends[1][1],
                "netns",
                there,
            )
            for name, cable, address in ends:
                ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
                ip("-n", name, "link", "set", cable, "up")
                ip("-n", name, "link", "set", "lo", "up")
                ip("netns", "exec", name, "true")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield here, there
    finally:
        for name, _, _ in ends:  # the cable goes with them
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False, timeout=60)


def inside(namespace: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, sys.executable, *words]


@pytest.fixture
def lender(namespaces: tuple[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The other machine, whose rank is killed at its third epoch the first time."""
    words = ("-m", "proteinx_pipelines_tests.dying_rank", f"{HERE}:{PORT}", str(tmp_path / "mark"))
    with (tmp_path / "lender.log").open("wb") as log:
        process = subprocess.Popen(
            inside(namespaces[1], *words), env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=log, stderr=log
        )  # fmt: skip
    yield process
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.wait()


def epochs(settings: Settings, attempt: int) -> list[int]:
    """Epochs that an attempt has finished."""
    path = ExperimentDir(settings.experiments_dir, "many").events(1, attempt)
    return [each["payload"]["epoch"] for each in read_json_lines(path) if each["event"] == "epoch_finished"]


def test_a_killed_rank_in_another_network_costs_an_epoch_and_the_weights_are_those_of_one_machine(
    settings: Settings, namespaces: tuple[str, str], lender: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(REPOSITORY), "PROTEINX_WORKDIR": str(settings.workdir),
        "MASTER_ADDR": HERE, "MASTER_PORT": PORT,
    }  # fmt: skip

    def attempt(number: int) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            inside(namespaces[0], "-c", ATTEMPT, str(number)), env=environment, cwd=tmp_path,
            capture_output=True, text=True, timeout=400,
        )  # fmt: skip

    first = attempt(1)
    assert first.returncode == LOST, first.stdout + first.stderr
    assert (tmp_path / "mark").exists()
    assert len(list(settings.paths.staging_dir.glob("*/many/ckpts/last.ckpt"))) == 1
    second = attempt(2)
    assert second.returncode == 0, second.stdout + second.stderr
    assert lender.poll() is None  # it came again by itself
    assert epochs(settings, 2) == [2, 3]  # of 4; the checkpoint had two
    fitted_by(settings, "one", flags(strategy="ddp", devices=2))
    assert weights(settings, "many") == weights(settings, "one")
