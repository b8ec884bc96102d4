"""A node with a small catalog, as the assets of this process see it."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from proteinx_pipelines.defs import attempts
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A node with a small catalog, as the assets of this process see it."""
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path / "workdir"))
    found = load_settings()
    found.workdir.mkdir()
    write_catalog(found.database_path, n_singles=60, n_doubles=10)
    attempts.node_settings.cache_clear()
    attempts.node_state.cache_clear()
    yield found
    attempts.close_attempts()
    attempts.node_settings.cache_clear()
    attempts.node_state.cache_clear()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty history."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@dg.op
def nothing() -> None: ...


@dg.job
def empty_job() -> None:
    """For runs that are never executed."""
    nothing()
