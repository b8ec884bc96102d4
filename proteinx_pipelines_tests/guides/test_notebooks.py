"""Notebooks are valid, stored without outputs and listed."""

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
