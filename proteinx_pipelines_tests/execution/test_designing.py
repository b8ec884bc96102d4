"""Questions to a model begin at once: what they do not need is not imported, and is not searched for garbage."""

import gc
import subprocess
import sys

import pytest

from proteinx_pipelines.cli.lazy import imports, rare_collections


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


def test_a_question_is_searched_for_garbage_rarely_and_what_comes_after_as_before() -> None:
    before = gc.get_threshold()
    seen = []
    with pytest.raises(KeyError), rare_collections():
        seen.append((gc.isenabled(), gc.get_threshold())) or {}[0]
    assert seen == [(gc.isenabled(), (100 * before[0], *before[1:]))]
    assert gc.get_threshold() == before


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
