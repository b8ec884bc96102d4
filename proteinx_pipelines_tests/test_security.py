"""Rules of the whole package: no code from data, nothing listens to the world."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.node.processes import ports
from proteinx_pipelines.node.processes.embedded import _arguments
from proteinx_pipelines.node.processes.ports import Address

PACKAGE = Path(__file__).resolve().parents[1] / "proteinx_pipelines"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {"load": {"yaml", "joblib"}, "unsafe_load": {"yaml"}, "extractall": set(), "system": {"os"},
                     "load_from_checkpoint": set(), "read_pickle": set(), "to_pickle": set()}  # fmt: skip


def unsafe(source: str) -> Iterator[str]:
    """What a module does that could run code that came as data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in FORBIDDEN_MODULES)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            yield from (
                name.name for name in node.names if name.name != "UnpicklingError"
            )  # what torch.load raises
        if isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(call: ast.Call) -> Iterator[str]:
    options = {option.arg: option.value for option in call.keywords}
    if isinstance(call.func, ast.Name) and call.func.id in FORBIDDEN_CALLS:
        yield call.func.id
    if not isinstance(call.func, ast.Attribute):
        return
    owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    owners = FORBIDDEN_METHODS.get(call.func.attr)
    if owners is not None and (not owners or owner in owners):
        yield f"{owner}.{call.func.attr}"
    if (owner, call.func.attr) == ("torch", "load"):
        value = options.get("weights_only")
        if not (isinstance(value, ast.Constant) and value.value is True):
            yield "torch.load without weights_only=True"
    if (owner, call.func.attr) == ("np", "load"):
        value = options.get("allow_pickle")
        if isinstance(value, ast.Constant) and value.value:
            yield "np.load with allow_pickle"
    if isinstance(options.get("shell"), ast.Constant) and options["shell"].value:  # type: ignore[union-attr]
        yield "shell=True"


def test_nothing_in_the_package_runs_code_that_came_as_data() -> None:
    found = {
        str(path.relative_to(PACKAGE)): list(unsafe(path.read_text(encoding="utf-8"))) for path in SOURCES
    }
    assert len(found) > 100
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from joblib import load", "eval('1')", "yaml.load(x)", "torch.load(p)", "tar.extractall()",
     "torch.load(p, weights_only=False)", "np.load(p, allow_pickle=True)", "subprocess.run(c, shell=True)"],
)  # fmt: skip
def test_the_rule_sees_each_of_them(line: str) -> None:
    assert list(unsafe(line))


WORLDS = re.compile(r"[\"'](0\.0\.0\.0|::|\*|::0|\[::\])[\"']")
"""Addresses that mean every network of the machine."""


def bound_to_the_world(source: str) -> list[str]:
    """Which of them stand as an argument of a server, or beside `host` or `bind`."""
    return [
        found
        for line in source.splitlines()
        if re.search(r"host|bind", line)
        for found in WORLDS.findall(line)
    ]


def test_no_server_of_the_package_is_bound_to_the_world() -> None:
    """Dagster's pages have no login: whoever reaches them can start runs."""
    assert {path.name for path in SOURCES if bound_to_the_world(path.read_text(encoding="utf-8"))} == set()
    servers = (PACKAGE / "defs" / "servers.py").read_text(encoding="utf-8")
    assert servers.count('"--host", LOOPBACK') + servers.count('"--host",\n        LOOPBACK') == 2
    assert (ports.LOOPBACK, _arguments(Address("x", 1, 1, 0.0), Path())[1]) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize("line", ['"--host", "0.0.0.0"', "sock.bind(('::', 80))", '"bind": "*"'])
def test_the_rule_sees_a_server_that_is(line: str) -> None:
    assert bound_to_the_world(line)
