"""Plugins come from the node's operator, are loaded once, and are named when they fail."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from proteinx_pipelines import plugins
from proteinx_pipelines.errors import PluginError

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin_metric"


@pytest.fixture
def fresh(monkeypatch):
    """A process that has loaded no plugin, and modules that leave again."""
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(plugins, "_entry_points", lambda: ())
    monkeypatch.delenv("PROTEINX_PLUGINS", raising=False)
    before = set(sys.modules)
    yield monkeypatch
    for name in set(sys.modules) - before:
        if name.startswith("plugin_under_test"):
            del sys.modules[name]


def write_module(folder, name, text):
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_the_example_plugin_is_a_metric_in_a_new_process():
    code = "from proteinx_pipelines import metrics; import numpy as np; x = np.arange(100.0); "
    code += "metrics.check_names(['hit_rate_20']); print(metrics.compute('hit_rate_20', x, x))"
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE), "PROTEINX_PLUGINS": "proteinx_example_metric"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "1.0"), done.stderr


def test_without_the_variable_the_example_is_unknown():
    code = "from proteinx_pipelines import metrics; metrics.check_names(['hit_rate_20'])"
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE), "PROTEINX_PLUGINS": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "unknown metric 'hit_rate_20'" in done.stderr


def test_a_module_is_loaded_once(fresh, tmp_path):
    write_module(
        tmp_path, "plugin_under_test_a", "import sys; sys.loads_of_a = getattr(sys, 'loads_of_a', 0) + 1"
    )
    fresh.syspath_prepend(tmp_path)
    fresh.setattr(sys, "loads_of_a", 0, raising=False)
    fresh.setenv("PROTEINX_PLUGINS", " plugin_under_test_a ,, ")
    assert plugins.load_plugins() == plugins.load_plugins() == ("module plugin_under_test_a",)
    assert sys.loads_of_a == 1


def test_a_plugin_that_cannot_be_imported_is_named_each_time(fresh, tmp_path):
    write_module(tmp_path, "plugin_under_test_b", "import no_such_library")
    fresh.syspath_prepend(tmp_path)
    fresh.setenv("PROTEINX_PLUGINS", "plugin_under_test_b")
    for _ in range(2):
        with pytest.raises(
            PluginError, match=r"module plugin_under_test_b .*No module named 'no_such_library'"
        ):
            plugins.load_plugins()


def test_an_entry_point_may_be_a_function_and_runs_once(fresh, tmp_path):
    write_module(tmp_path, "plugin_under_test_c", "calls = []\ndef setup():\n    calls.append(1)\n")
    fresh.syspath_prepend(tmp_path)
    entry = EntryPoint("c", "plugin_under_test_c:setup", plugins.ENTRY_POINT_GROUP)
    fresh.setattr(plugins, "_entry_points", lambda: (entry,))
    plugins.load_plugins()
    assert plugins.load_plugins() == ("entry point c",)
    assert sys.modules["plugin_under_test_c"].calls == [1]


def test_a_plugin_may_ask_for_the_known_metrics_while_it_loads(fresh, tmp_path):
    write_module(
        tmp_path, "plugin_under_test_d", "from proteinx_pipelines import metrics\nknown = metrics.names()\n"
    )
    fresh.syspath_prepend(tmp_path)
    fresh.setenv("PROTEINX_PLUGINS", "plugin_under_test_d")
    plugins.load_plugins()
    assert "spearman" in sys.modules["plugin_under_test_d"].known
