"""A WORKDIR that is renamed under a living node is not made again, by whatever writes; on a whole node: `make chaos
SCENARIO=workdir`."""

import subprocess
import sys
from pathlib import Path

import pytest

WRITERS = {
    "a document": (
        "from proteinx_pipelines.experiment_dir.files import write_json; write_json(root / 'run' / 'a.json', 1)"
    ),
    "a folder": "(root / 'experiments' / 'e' / 'logs').mkdir(parents=True, exist_ok=True)",
    "os.makedirs": "import os; os.makedirs(root / 'run')",
    "shutil": "import shutil; shutil.copytree(root.parent / 'elsewhere', root)",
    "WORKDIR itself": "root.mkdir()",
    "the ledger": "from proteinx_pipelines.ledger.ledger import Ledger; Ledger(root / 'state.db').counts()",
}
CODE = """
import sys
from pathlib import Path
from proteinx_pipelines.node.processes.workdir import never_make_again
root = Path(sys.argv[1])
(root / "run").mkdir(parents=True)
{guard}
(root / "run" / "below").mkdir()
(root / "run").mkdir(exist_ok=True)
root.rename(root.parent / "elsewhere")
try:
    {write}
except Exception as error:
    print(type(error).__name__, error)
"""


def made(folder: Path, write: str, guard: str) -> tuple[bool, str]:
    """True if there is a WORKDIR again; and the error that the writer got."""
    root = folder / "w"
    code = CODE.format(write=write, guard=guard)
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    return root.exists(), done.stdout


@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_makes_a_workdir_again_that_was_renamed(tmp_path: Path, writer: str) -> None:
    is_made, said = made(tmp_path, WRITERS[writer], "never_make_again(root)")
    assert not is_made
    assert "was renamed or removed while its node was running" in said or "state.db" in said


def test_without_the_guard_there_would_be_a_second_one(tmp_path: Path) -> None:
    assert made(tmp_path, WRITERS["a document"], "pass") == (True, "")
