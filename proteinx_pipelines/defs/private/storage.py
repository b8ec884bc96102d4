"""Dagster's runs, events and ticks in three SQLite files, through connections that stay open.

The stock storages make an engine, a connection and a checkpoint for every event: 6 ms each, sixty times a run. Here one
engine a process keeps its connections: 0.4 ms. They also compare a database with its migrations whenever an instance is
made, so for every tick of the sensor: 50 ms of processor time, and Alembic keeps something of each comparison until the
process ends. Here a process compares once. `synchronous=NORMAL`: a power loss may lose the last events of the history,
never its consistency; facts that must survive are in `state.db`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

_BUSY_S = 30


@lru_cache(maxsize=8)
def _engine(url: str, process: int) -> Engine:  # noqa: ARG001  # a forked process needs connections of its own
    engine = create_engine(url, connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    with _engine(url, os.getpid()).begin() as connection:
        yield connection


def _create_whole(path: Path, create: Callable[[str], object]) -> None:
    """Create a database beside its place, and put it there when it is whole, unless there is one then.

    The stock storages make table after table in place, and take a file that is there for a whole one: a node killed
    meanwhile failed every experiment from then on.

    Args:
        path: where it belongs.
        create: makes a database of the same name in a folder, and leaves no connection open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        create(folder)
        whole = Path(folder) / path.name
        try:
            os.link(whole, path)
        except FileExistsError:
            return  # another process was first, and its database may be in use
        except OSError:  # a file system without links: here the last of several would be the one
            whole.rename(path)


class _ComparedOnce:
    """A storage of one file that this process has created, or compared with the migrations, at most once."""

    _file: ClassVar[str]
    _stock: ClassVar[Any]
    _compared: ClassVar[set[Path]] = set()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """Open the database below `base_dir`; create it where there is none."""
        stock: Any = cls
        path = Path(config_value["base_dir"]) / f"{cls._file}.db"
        if not path.is_file():
            _create_whole(path, cls._stock.from_local)
            cls._compared.add(path)
        if path not in cls._compared:
            opened = stock.from_local(inst_data=inst_data, **config_value)
            cls._compared.add(path)
            return opened
        return stock(create_db_conn_string(config_value["base_dir"], cls._file), inst_data)


class NodeRunStorage(_ComparedOnce, SqliteRunStorage):
    """The runs, `runs.db`."""

    _file = "runs"
    _stock = SqliteRunStorage

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """One transaction."""
        with _transaction(self._conn_string) as connection:
            yield connection


class NodeScheduleStorage(_ComparedOnce, SqliteScheduleStorage):
    """The state of the sensor and its ticks, `schedules.db`."""

    _file = "schedules"
    _stock = SqliteScheduleStorage

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """One transaction."""
        with _transaction(self._conn_string) as connection:
            yield connection


class NodeEventLogStorage(ConsolidatedSqliteEventLogStorage):
    """The events of all runs, `event_log.db`: one file per run would take half a second to create."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._watcher: SqlPollingEventWatcher | None = None
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    def _init_db(self) -> None:
        """Create the database; the stock storage asks for it where there is no file."""
        _create_whole(Path(self._base_dir) / "event_log.db", ConsolidatedSqliteEventLogStorage)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with _transaction(self._conn_string) as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Look for a table once: none is ever dropped.

        The stock method makes an engine and a connection for each question, and a step asks for every partition that it
        reads or writes: a seventh of a small experiment.
        """
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    # The stock watcher waits for the main file to change; with connections that stay open it rarely does.
    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., None]) -> None:
        """Follow a run's events, for the live page of the web UI."""
        if self._watcher is None:
            self._watcher = SqlPollingEventWatcher(self)
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[..., None]) -> None:
        """Stop following."""
        if self._watcher is not None:
            self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        """Stop following everything."""
        if self._watcher is not None:
            self._watcher.close()
