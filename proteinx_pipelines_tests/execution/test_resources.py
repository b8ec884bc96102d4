"""Resources and code versions of a stage are shown to people: five places, the same numbers."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proteinx_pipelines.contract.pipeline import PipelineDocument
from proteinx_pipelines.defs.metadata import _used
from proteinx_pipelines.execution import code_facts, gpu, resources
from proteinx_pipelines.execution.resources import Meter
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.plugins import plugin_modules
from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.waiting import wait_until

FLAGS = {
    "data": {"source": "TOY"},
    "split": {"method": "random"},
    "evaluate": {"bootstrap": 10, "plots": False},
}
MB = 1_000_000


def spin(seconds: float) -> None:
    """Use the processor for about so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_a_peak_between_two_looks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux remembers the most memory of a process")
    monkeypatch.setattr(resources, "LOOK_S", 3600.0)
    monkeypatch.setattr(resources, "_descendants", lambda _process: [])  # servers of other tests
    with Meter() as calm:
        pass
    with Meter() as meter:
        block = np.ones(30 * MB)  # 240 MB, touched
        del block
    with Meter() as after:
        pass
    before = calm.usage()["peak_memory_bytes"]
    assert meter.usage()["peak_memory_bytes"] > before + 200 * MB
    assert after.usage()["peak_memory_bytes"] < before + 100 * MB, "each stage has its own peak"


def test_processor_time_is_that_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_descendants", lambda _process: [])  # servers of other tests
    spin(0.3)
    with Meter() as meter:
        spin(0.5)
    used = meter.usage()
    assert 0.4 <= used["cpu_seconds"] < 1.5
    assert 0 < used["cpu_percent"] <= 250


def test_children_count_those_that_ended_and_those_that_run() -> None:
    code = "import time; block = bytearray(150_000_000); end = time.process_time() + 0.5\n"
    code += "while time.process_time() < end: sum(range(1000))\n"
    with Meter() as meter:
        subprocess.run([sys.executable, "-c", code], check=True)
    ended = meter.usage()
    assert ended["cpu_seconds"] >= 0.5
    with Meter() as meter:
        waits = code + "print('there', flush=True)\ntime.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        wait_until(lambda: meter.usage()["cpu_seconds"] >= 0.5)
    child.kill()
    child.wait()
    child.stdout.close()
    runs = meter.usage()
    assert runs["cpu_seconds"] >= 0.5
    assert runs["peak_memory_bytes"] > 150 * MB


def test_it_may_be_asked_while_it_measures() -> None:
    with Meter() as meter:
        spin(0.2)
        assert meter.usage()["cpu_seconds"] >= 0.15


class Nvml:
    """NVIDIA's library with one GPU that tells all, and one that has fallen off its bus."""

    class NVMLError(Exception):
        pass

    busy = iter([20, 60, 40])
    millijoules = iter([1_000_000, 1_250_000, 1_500_500])

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlShutdown(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802
        return b"NVIDIA A" if handle == 0 else self._lost()

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return type("Rates", (), {"gpu": next(self.busy)}) if handle == 0 else self._lost()

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return type("Memory", (), {"used": 7 * MB}) if handle == 0 else self._lost()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return next(self.millijoules) if handle == 0 else self._lost()

    def _lost(self) -> Any:
        raise self.NVMLError


def test_gpus_tell_their_mean_use_and_most_memory_and_a_lost_one_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())  # type: ignore[arg-type]
    watch = gpu.GpuWatch()
    for _ in range(3):
        watch.look()
    watch.close()
    assert watch.usage() == [
        {"name": "NVIDIA A", "utilization_percent": 40.0, "peak_memory_bytes": 7 * MB, "joules": 500.5},
        {"name": None, "utilization_percent": None, "peak_memory_bytes": None, "joules": None},
    ]


def test_every_place_has_what_each_stage_used(settings: Settings) -> None:
    directory = run_local_experiment(settings, "e", parse_flags(FLAGS)).directory
    page = directory.report_html.read_text(encoding="utf-8")
    last = page[page.index("Resources used") :]
    log = directory.train_log.read_text(encoding="utf-8")
    entries = read_pipeline(directory.pipeline).stages
    documents = PipelineDocument.model_validate(read_json(directory.pipeline)).stages
    for stage in always_made():
        used = entries[stage].resources
        assert used["peak_memory_bytes"] > 10 * MB
        assert used["cpu_seconds"] >= 0
        document = documents[stage].resources
        assert document is not None
        assert document.peak_memory_bytes == used["peak_memory_bytes"]
        told = _used(entries[stage])
        assert told["peak memory (MB)"] == round(used["peak_memory_bytes"] / MB, 1)
        assert told["CPU (% of a core)"] == used["cpu_percent"]
        assert entries[stage].code["version"]
        words = resources.in_words(used)
        assert words in last
        assert f"s, {words}." in log
    code = code_facts.in_words(code_facts.code_facts())
    assert code in last
    assert read_json(directory.document)["code"] == code_facts.code_facts()


def test_what_was_taken_over_says_what_computing_it_used(settings: Settings) -> None:
    run_local_experiment(settings, "e", parse_flags(FLAGS))
    taken = run_local_experiment(settings, "f", parse_flags(FLAGS)).directory
    entries = read_pipeline(taken.pipeline).stages
    assert {entry.action for entry in entries.values()} == {"taken"}
    assert all(entry.resources["peak_memory_bytes"] for entry in entries.values())


def test_entries_of_release_0_1_0_are_read_and_tell_nothing(settings: Settings) -> None:
    directory = run_local_experiment(settings, "e", parse_flags(FLAGS)).directory
    document = read_json(directory.pipeline)
    for entry in document["stages"].values():
        del entry["resources"], entry["code"]
    write_json(directory.pipeline, document)
    for entry in read_pipeline(directory.pipeline).stages.values():
        assert _used(entry) == {}
        assert resources.in_words(entry.resources) == code_facts.in_words(entry.code) == ""


# ---------------------------------------------------------------------- code
def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    found = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_changes_are_told(tmp_path: Path) -> None:
    code = tmp_path / "repository" / "package"
    code.mkdir(parents=True)
    (code / "module.py").write_text("x = 1\n")
    assert code_facts._checkout(code) == (None, None)
    git(code.parent, "init", "-q")
    git(code.parent, "add", "package")
    git(code.parent, "commit", "-qm", "first")
    commit = git(code.parent, "rev-parse", "HEAD")
    assert code_facts._checkout(code) == (commit, False)
    (code / "module.py").write_text("x = 2\n")
    assert code_facts._checkout(code) == (commit, True)
    environment = code.parent / "env"
    environment.mkdir()
    (code.parent / ".gitignore").write_text("env\n")
    (environment / "other.py").write_text("")
    assert code_facts._checkout(environment) == (None, None), "what git ignores is another project's"


def test_a_plugin_has_its_own_version_and_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab_metric.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PROTEINX_PLUGINS", "lab_metric")
    from proteinx_pipelines import plugins

    monkeypatch.setattr(plugins, "_loaded", set())
    plugins.load_plugins()
    assert plugin_modules()["module lab_metric"] == ("lab_metric", None)
    code_facts._facts.cache_clear()
    try:
        found = code_facts.code_facts()
    finally:
        code_facts._facts.cache_clear()
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert found["plugins"]["module lab_metric"]["commit"] == commit
    assert f"plugin lab_metric commit {commit[:12]}" in code_facts.in_words(found)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PROTEINX_CONTAINER_IMAGE": "lab/node:7"}, "lab/node:7"),
        ({"APPTAINER_CONTAINER": "/images/node.sif"}, "/images/node.sif"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
    ],
)
def test_a_container_is_told_with_its_image_where_that_is_known(
    environment: Mapping[str, str], expected: str | None
) -> None:
    found = code_facts.container(environment)
    assert found is not None
    assert found["image"] == expected


def test_podman_names_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "marker").write_text('engine="podman-4.9"\nimage="registry.example/node:7"\n')
    monkeypatch.setattr(code_facts, "_MARKERS", {str(tmp_path / "marker"): "podman"})
    assert code_facts.container({}) == {"kind": "podman", "image": "registry.example/node:7"}


def test_facts_about_code_are_plain_json_and_a_copy() -> None:
    first = code_facts.code_facts()
    assert json.loads(json.dumps(first)) == first
    first["plugins"]["x"] = 1
    assert "x" not in code_facts.code_facts()["plugins"]
