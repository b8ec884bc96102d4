"""Questions to a model begin at once: what they do not need is not imported, and is not searched for garbage."""

import gc
import subprocess
import sys

from proteinx_pipelines.cli.lazy import imports


def test_a_prediction_imports_neither_the_catalog_nor_the_report_nor_a_network() -> None:
    """SQLAlchemy and the report's models took a third of a second of a command that may take two."""
    slow = (
        "sqlalchemy", "torch", "proteinx_pipelines.contract.report", "proteinx_pipelines.pages.report_words",
        "proteinx_pipelines.files.fetching.from_master", "proteinx_pipelines.files.fetching.from_store",
    )  # fmt: skip
    code = (
        f"import sys, proteinx_pipelines.execution.designing; print([m for m in {slow} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_leave_the_garbage_collector_as_it_was() -> None:
    with imports():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
