"""How long a person waits: `proteinx --help`, the code location, and a node from nothing to ready.

Each is a fresh process, with the interpreter's start and imports; files are in the page cache. Beside help: an
interpreter that imports click. Beside the code location: one that imports Dagster.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local_node import LocalNode
from measure import Figure, Goal, Spread, arguments_of, in_turn, report

ROOT = Path(__file__).resolve().parents[1]
_LOAD = "from proteinx_pipelines.definitions import defs; defs.get_repository_def().get_all_jobs()"


def main() -> None:
    options = arguments_of(__doc__, lambda p: p.add_argument("--no-node", dest="node", action="store_false"))
    help_ = in_turn(
        {
            "ours": lambda: python("-m", "proteinx_pipelines.cli.main", "--help"),
            "click": lambda: python("-c", "import click"),
        },
        options.repeats,
    )
    location = in_turn(
        {"ours": lambda: python("-c", _LOAD), "dagster": lambda: python("-c", "import dagster")},
        options.repeats,
    )
    figures = [
        Figure("start.help", "`proteinx --help`", "s", help_["ours"], help_["click"], "import click",
               (Goal("ours", "<=", 0.3),)),
        Figure("start.location", "the code location loads", "s", location["ours"], location["dagster"],
               "import dagster", (Goal("ours", "<=", 2.5),)),
    ]  # fmt: skip
    if options.node:
        figures += node_figures(options.repeats)
    report("start", figures, options.out)


def python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)


def node_figures(repeats: int) -> Sequence[Figure]:
    """A node on a WORKDIR that does not exist yet, started and stopped."""
    ready, stopped = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            node = LocalNode(Path(folder) / "workdir")
            ready.append(node.ready_s)
            stopped.append(node.stop())
    return [
        Figure("start.up", "`proteinx up` is ready", "s", Spread.of(ready), goals=(Goal("ours", "<=", 12),)),
        Figure("start.stop", "a node stops", "s", Spread.of(stopped)),
    ]


if __name__ == "__main__":
    main()
