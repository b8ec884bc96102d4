"""Notebooks are stored without outputs, begin with a sentence that says what they do, and are executed."""

import os
from pathlib import Path

import nbformat
import pytest

from proteinx_pipelines_tests.guides.blocks import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_stored_without_outputs_and_listed(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert path.name in (REPOSITORY / "examples" / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kernel for all of them, emptied in between: it imports PyTorch once."""
    from nbclient import NotebookClient

    assert len(NOTEBOOKS) >= 4
    together = nbformat.v4.new_notebook()
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        together.cells += [nbformat.v4.new_code_cell("%reset -f"), *cells]
    for number, cell in enumerate(together.cells):
        cell["id"] = f"cell-{number}"
    for name, folder in (("HOME", "home"), ("IPYTHONDIR", "ipython"), ("JUPYTER_RUNTIME_DIR", "runtime")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    here = {"metadata": {"path": str(tmp_path)}}
    environment = {**os.environ, "PROTEINX_WORKDIR": str(tmp_path / "workdir")}
    client = NotebookClient(together, kernel_name="python3", timeout=240, resources=here)
    client.execute(env=environment)
    assert (tmp_path / "plate.csv").is_file()
    printed = "".join(output.get("text", "") for cell in together.cells for output in cell.get("outputs", []))
    assert "round 3: best" in printed
