"""The client's wheel in an empty environment, and a real node with a plugin that the sender lacks."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from proteinx_pipelines_tests.story.conftest import REPOSITORY, Node

pytestmark = pytest.mark.story
PLUGIN = REPOSITORY / "examples" / "plugin_metric"
SENDER = """
import json, sys, time
from proteinx_pipelines.client import Client
from proteinx_pipelines.errors import FlagError

flags = {"data.source": "GB1_Nisthal_2019", "model.name": "ridge", "evaluate": {"plots": False, "bootstrap": 0}}
seen = []
with Client(sys.argv[1]) as client:
    while not client.nodes():
        time.sleep(0.2)
    (node,) = client.nodes().values()
    wanted = {**flags, "evaluate.metrics": ["spearman", "hit_rate_20"]}
    del wanted["evaluate"]
    result = client.run(wanted, timeout_s=240, on_progress=seen.append)
    refused = client.run({**flags, "evaluate": {"metrics": ["hit_rate_21"]}}, timeout_s=240)
    try:
        client.submit({**flags, "train.lr": -1})
    except FlagError as error:
        wrong = str(error)
loaded = {name.split(".")[0] for name in sys.modules}
print(json.dumps({
    "metrics": node.capabilities.metrics, "plugins": node.capabilities.plugins, "result": result.document(),
    "states": [status.state for status in seen], "refused": refused.document(), "wrong": wrong,
    "heavy": sorted(loaded & {"numpy", "torch", "dagster", "celery", "sqlalchemy", "pyarrow", "pandas", "click"}),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built from a copy of the source."""
    source = tmp_path_factory.mktemp("source")
    shutil.copy(REPOSITORY / "pyproject.toml", source)
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for folder in ("proteinx_pipelines", "client_wheel"):
        shutil.copytree(REPOSITORY / folder, source / folder, ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(source)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "./client_wheel"], cwd=source, check=True)
    (built,) = source.glob("proteinx_client-*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel, its extra for Redis, and what they ask for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(REPOSITORY / "constraints.txt")]
    if subprocess.run([*install, "pydantic"], check=False).returncode:
        pytest.skip("no package index can be reached")
    subprocess.run([*install, f"{wheel}[redis]"], check=True)
    return python


def test_the_wheel_holds_what_a_sender_needs_and_nothing_that_computes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = opened.read(metadata).decode("utf-8")
    parts = {
        name.split("/")[1] for name in names if name.startswith("proteinx_pipelines/") and name.count("/") > 1
    }
    assert parts == {"client", "contract", "domain", "flags", "pipeline"}
    assert "proteinx_pipelines/contract/schemas/result.schema.json" in names
    assert "proteinx_pipelines/flags/trainer_arguments.json" in names
    required = [
        line.removeprefix("Requires-Dist: ") for line in text.splitlines() if line.startswith("Requires-Dist")
    ]
    assert sorted(line.split(">")[0] for line in required if "extra" not in line) == ["httpx2", "pydantic"]
    version = next(line for line in text.splitlines() if line.startswith("Version: ")).split()[1]
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")


def test_it_says_which_package_an_address_needs(wheel: Path, tmp_path: Path) -> None:
    """Without the extra: pydantic is here, redis is not."""
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path)
    code = "import sys; sys.modules['redis'] = None\nfrom proteinx_pipelines.client import Client\nClient('redis://a')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "MissingPackage: redis is not installed" in done.stderr
    assert "pip install 'proteinx-client[redis]'" in done.stderr


def test_a_sender_without_the_nodes_plugin_has_it_run_what_it_names(
    start_node: Callable[..., Node], empty_environment: Path, tmp_path: Path
) -> None:
    node = start_node(PYTHONPATH=str(PLUGIN), PROTEINX_PLUGINS="proteinx_example_metric")
    url = json.loads((node.workdir / "run" / "redis.json").read_text(encoding="utf-8"))["url"]
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PROTEINX_", "REDIS"))
    }
    done = subprocess.run(
        [str(empty_environment), "-c", SENDER, url],
        cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["heavy"] == []
    assert "hit_rate_20" in said["metrics"]
    assert said["plugins"] == ["module proteinx_example_metric"]
    assert said["result"]["status"] == "SUCCEEDED", said["result"]["error"]
    assert {"test/spearman", "test/hit_rate_20"} <= set(said["result"]["summary"])
    assert set(said["states"]) <= {"PENDING", "RUNNING", "SUCCEEDED"}
    assert said["refused"]["status"] == "REJECTED"
    assert "unknown metric 'hit_rate_21' (did you mean 'hit_rate_20'?)" in said["refused"]["error"]["message"]
    assert "the metrics are hit_rate_20, mae, mse" in said["refused"]["error"]["message"]
    assert "`train.lr`: found -1" in said["wrong"]
