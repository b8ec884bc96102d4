"""The shape of the code: what one message visits, what planning needs, how large files and functions are.

Visits are counted with `sys.setprofile` while one message (a ridge on a small catalog) goes through the node's own
functions in this process, on a Redis of its own: taken in, planned, its six stages, finished. A *move* is a call into
another module than that of the call before. Imports and sizes are read from the source. Dagster and Celery are not
started; what they call of ours is.

    python benchmarks/house.py
    PYTHONPATH=/another/checkout python benchmarks/house.py     # the same of another version
"""

import ast
import inspect
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import proteinx_pipelines

PACKAGE = Path(proteinx_pipelines.__file__).parent
sys.path.insert(0, str(PACKAGE.parent))  # the tests' server and catalog are not installed
FLAGS = {"data.source": "TOY", "evaluate.bootstrap": 0, "evaluate.plots": False}


class Visits:
    """Modules and functions of ours that are called inside."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.functions: set[CodeType] = set()
        self.moves = 0
        self._before = ""

    def __enter__(self) -> Self:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_code.co_filename
        is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # not the body of a module or a class
        if event != "call" or not is_function or not name.startswith(str(PACKAGE)):
            return
        self.moves += name != self._before
        self._before = name
        self.modules.add(name)
        self.functions.add(frame.f_code)

    def counts(self) -> dict[str, int]:
        return {"modules": len(self.modules), "functions": len(self.functions), "moves": self.moves}


def visits(folder: Path, redis_url: str) -> dict[str, Any]:
    """What one message visits, step by step, twice: the second message finds every memory of this process made."""
    os.environ.update(PROTEINX_WORKDIR=str(folder / "workdir"), REDIS_URL=redis_url)
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines_tests.execution.conftest import write_catalog

    settings = load_settings()
    settings.workdir.mkdir()
    write_catalog(settings.database_path, n_singles=60, n_doubles=10)
    return {name: one_message(settings, name) for name in ("first", "second")}


def one_message(settings: Any, experiment_id: str) -> dict[str, Any]:
    """Send one message and follow it."""
    from proteinx_pipelines.defs.attempts import open_generation
    from proteinx_pipelines.ledger.ledger import Ledger
    from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
    from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
    from proteinx_pipelines.node.lifecycle.intake import Intake
    from proteinx_pipelines.node.processes.locks import ProcessLock
    from proteinx_pipelines.queue.queue import RedisQueue, connect

    state = Ledger(settings.state_path)
    queue = RedisQueue(connect(settings.redis_url), settings.queue_name, settings.node_name)
    intake = Intake(settings, state, queue)
    dispatch = Dispatch(settings, state, intake, ProcessLock(settings.run_dir / "intake.lock", "The intake"))
    flags = {**FLAGS, "data.seed": len(experiment_id)}
    queue.enqueue(json.dumps({"experiment_id": experiment_id, "flags": flags}).encode())

    def current() -> Any:
        return state.generation(experiment_id, 1)

    steps: dict[str, Visits] = {}

    def followed(step: str, act: Callable[[], Any]) -> Any:
        steps[step] = Visits()
        with steps[step]:
            return act()

    followed("ingest", intake.take_waiting)
    _, stages = followed("prepare", lambda: dispatch._prepare(current()))
    state.begin(experiment_id, 1, current().attempt, run_id=experiment_id, host_pid=1, timeout_s=None)

    def run_stages() -> None:
        attempt = open_generation(settings, state, current())
        attempt.take_planned(current().plan)
        for name in stages:
            attempt.publish(attempt.run_stage(name, attempt.record))
        attempt.close()

    followed("stages", run_stages)
    followed("finish", lambda: finish_attempt(settings, state, current(), RunEnd.SUCCESS))
    around = set().union(*(found.modules for step, found in steps.items() if step != "stages"))
    return {
        **{step: found.counts() for step, found in steps.items()},
        "modules without the stages": len(around),
        "modules in all": len(around | steps["stages"].modules),
    }


def closure(module: str) -> set[str]:
    """Our modules that a module needs, imports inside functions included."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        if (current := waiting.pop()) not in seen:
            seen.add(current)
            waiting += imports_of(current)
    return seen


def imports_of(module: str) -> Iterator[str]:
    """Our modules that a module imports."""
    path = path_of(module)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path else ():
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body.clear()
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGE.name):
            inner = str(node.module).removeprefix(PACKAGE.name).lstrip(".")
            for alias in node.names:
                below = f"{inner}.{alias.name}".lstrip(".")
                yield below if path_of(below) else inner


def path_of(module: str) -> Path | None:
    """The file of one of our modules."""
    path = PACKAGE.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in found if candidate.is_file()), None)


def needs(module: str) -> dict[str, int]:
    """How many modules and lines a module needs, and how many of them compute."""
    found = closure(module)
    lines = sum(
        len(path.read_text(encoding="utf-8").splitlines()) for name in found if (path := path_of(name))
    )
    return {"modules": len(found), "lines": lines, "stages": sum(name.startswith("stages") for name in found)}


def sizes() -> dict[str, Any]:
    """Lines of code without comments and docstrings, of files and of functions."""
    files, functions = [], []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        files.append(len(code_lines(tree)))
        functions += [
            node.end_lineno - node.lineno + 1
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
        ]
    return {"files": spread(files), "functions": spread(functions), "code lines": sum(files)}


def code_lines(tree: ast.AST) -> set[int]:
    """Lines on which a statement or an expression stands that is not a text by itself."""
    texts = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for inner in (node, node.value)
    }
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt) and id(node) not in texts:
            found.update((node.lineno, node.end_lineno or node.lineno))
    return found


def spread(counts: list[int]) -> dict[str, float]:
    """How many, their median, 90th percentile and greatest."""
    return {
        "n": len(counts),
        "median": statistics.median(counts),
        "p90": statistics.quantiles(counts, n=10)[-1],
        "max": max(counts),
    }


def main() -> None:
    from proteinx_pipelines_tests.valkey import start_valkey

    plan = "pipeline.plan" if path_of("pipeline.plan") else "execution.plan"
    with tempfile.TemporaryDirectory() as folder:
        server = start_valkey(lambda: Path(tempfile.mkdtemp(dir=folder)))
        try:
            visited = visits(Path(folder), f"redis://127.0.0.1:{server.port}/0")
        finally:
            server.stop()
    report = {"visits": visited, f"{plan} needs": needs(plan), "sizes": sizes()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
