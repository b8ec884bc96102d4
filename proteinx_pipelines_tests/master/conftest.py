"""A Master of a test's own: a real database and application, without a socket."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.http.server import address_of, bind
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.models import predicting
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.valkey import start_valkey

TOY = {"data.source": "TOY", "model.name": "ridge", "split.folds": 3, "evaluate.bootstrap": 200}
"""Flags of the experiment in `trained_workdir`."""


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A WORKDIR with one finished experiment, `toy`."""
    folder = tmp_path_factory.mktemp("trained") / "workdir"
    settings = load_settings({"PROTEINX_WORKDIR": str(folder)}, folder.parent)
    folder.mkdir()
    write_catalog(settings.database_path)
    run_local_experiment(settings, "toy", parse_flags(TOY))
    yield folder
    predicting.service.close()


@pytest.fixture
def open_master(tmp_path: Path) -> Iterator[Callable[..., Master]]:
    """Open Masters in this test's folder; they are closed at its end."""
    opened: list[Master] = []

    def make(**environment: str) -> Master:
        node = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "workdir"), **environment}, tmp_path)
        opened.append(Master.open(load_master_settings(node, environment)))
        return opened[-1]

    yield make
    for master in opened:
        master.close()


@pytest.fixture
def master(open_master: Callable[..., Master]) -> Master:
    """A Master with default settings: no token is needed."""
    return open_master()


@pytest.fixture
def http(master: Master) -> Iterator[TestClient]:
    """A client of its application."""
    with TestClient(create_app(master)) as client:
        yield client


@contextmanager
def serving(master: Master) -> Iterator[str]:
    """Serve a Master's application on a port; its address."""
    bound = bind(dataclasses.replace(master.settings, port=0))
    server = uvicorn.Server(uvicorn.Config(create_app(master), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield address_of(master.settings, bound)
    finally:
        master.bell.stop()
        server.should_exit = True
        thread.join(20)
        bound.close()


@pytest.fixture
def served(master: Master) -> Iterator[str]:
    """The address of the Master's application behind a real server, where what streams is seen as it comes."""
    with serving(master) as address:
        yield address


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests of dispatch."""
    server = start_valkey(lambda: tmp_path_factory.mktemp("valkey"))
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()
