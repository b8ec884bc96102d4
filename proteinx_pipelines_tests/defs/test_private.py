"""The private parts of dagster and dagster-celery in use still exist and mean the same.

When one of these fails after an upgrade, `defs/private/` has to be read against the new
version before anything else.
"""

import contextlib
import gc
import inspect
import sqlite3
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator
from dagster._core.execution.retries import RetryMode
from dagster._core.launcher import RunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._daemon import daemon, sensor
from dagster_celery.executor import CeleryExecutor

from proteinx_pipelines.defs.private.execution import NodeExecutor
from proteinx_pipelines.defs.private.launcher import NodeRunLauncher
from proteinx_pipelines.defs.private.sensor_daemon import quicken_sensor_daemon
from proteinx_pipelines.defs.private.storage import (
    NodeEventLogStorage,
    NodeRunStorage,
    NodeScheduleStorage,
    _engine,
)


def test_the_executor_is_dagster_celerys_and_overrides_only_how_steps_are_sent() -> None:
    executor = NodeExecutor(send=lambda **_: None, may_go_on=lambda _run: True)
    assert isinstance(executor, CeleryExecutor)
    assert isinstance(executor, dg.Executor)
    assert executor.retries == RetryMode.DISABLED
    assert [name for name in vars(NodeExecutor) if not name.startswith("_")] == ["execute"]


def test_the_plan_functions_take_what_we_give_them() -> None:
    assert {"job", "run_config", "step_keys_to_execute"} <= set(
        inspect.signature(create_execution_plan).parameters
    )
    given = {"execution_plan", "job", "dagster_run", "instance", "retry_mode", "run_config"}
    assert given <= set(inspect.signature(execute_plan_iterator).parameters)
    assert hasattr(ReconstructableJob, "from_dict")
    assert hasattr(ReconstructableJob, "to_dict")


def test_the_run_loop_of_a_launched_run_is_where_it_was() -> None:
    from dagster._cli.api import _execute_run_command_body

    assert list(inspect.signature(_execute_run_command_body).parameters) == [
        "run_id", "instance", "write_stream_fn", "set_exit_code_on_failure",
    ]  # fmt: skip


def test_a_launcher_needs_only_launch_and_terminate() -> None:
    assert RunLauncher.__abstractmethods__ == {"launch_run", "terminate"}
    assert issubclass(NodeRunLauncher, RunLauncher)


@pytest.fixture
def quickened(monkeypatch) -> list[str]:
    """What the loop of the daemon has said, after it was quickened; Dagster is as before afterwards."""
    for module, name in (
        (sensor, "MIN_INTERVAL_LOOP_TIME"), (sensor, "execute_sensor_iteration"),
        (sensor, "is_under_min_interval"), (daemon, "execute_sensor_iteration_loop"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(
        sensor, "execute_sensor_iteration", lambda *_args, **_named: iter(["first", "second"])
    )
    said: list[str] = []
    quicken_sensor_daemon(lambda: said.append("goes on"), 0.25)
    return said


def test_the_daemon_reads_its_pause_when_it_sleeps(quickened: list[str]) -> None:
    """A pause that were copied at import time could not be quickened."""
    assert "MIN_INTERVAL_LOOP_TIME - loop_duration" in inspect.getsource(sensor.execute_sensor_iteration_loop)
    assert "execute_sensor_iteration(" in inspect.getsource(sensor.execute_sensor_iteration_loop)
    assert sensor.MIN_INTERVAL_LOOP_TIME == 0.25
    assert list(sensor.execute_sensor_iteration()) == ["first", "second"]
    assert quickened == ["goes on", "goes on"]


DAY_S = 86_400.0


def early_after(ahead_s: float, seconds: float) -> bool:
    """Whether a sensor that looks every 60 s is early, `seconds` after a tick by a clock that was ahead."""
    tick = time.time() + ahead_s - seconds
    data = SensorInstigatorData(min_interval=60, last_tick_timestamp=tick, sensor_type=SensorType.STANDARD)
    origin = SimpleNamespace(min_interval_seconds=60)
    state = SimpleNamespace(instigator_data=data)
    return bool(sensor.is_under_min_interval(state, origin))


def test_a_clock_that_was_ahead_puts_no_tick_off(quickened: list[str]) -> None:
    """A machine whose clock was two months ahead, and was set right, took no message for two months."""
    assert early_after(0.0, 10.0)
    assert not early_after(0.0, 90.0)
    assert not early_after(60 * DAY_S, 10.0)


def test_with_dagsters_own_rule_the_clock_has_to_catch_up() -> None:
    assert early_after(60 * DAY_S, 10.0), "Dagster looks at this itself now: our rule can go"


def test_a_clock_that_is_set_back_in_a_round_does_not_lengthen_the_pause(quickened, monkeypatch) -> None:
    times = iter([60 * DAY_S, 0.0])
    monkeypatch.setattr(sensor, "get_current_timestamp", lambda: next(times))
    waited: list[float] = []
    shutdown = SimpleNamespace(wait=waited.append, is_set=lambda: False)
    steps = daemon.execute_sensor_iteration_loop(None, None, shutdown)
    assert "second" in list(islice(steps, 5))  # the fifth step comes after the pause
    assert waited == [0.25]


def test_the_packaged_dagster_yaml_opens_an_instance_with_our_launcher(tmp_path, monkeypatch) -> None:
    from proteinx_pipelines.node.processes.workdir import prepare_workdir
    from proteinx_pipelines.settings import load_settings

    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path)
    prepare_workdir(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_launcher, NodeRunLauncher)
        assert isinstance(instance.run_coordinator, DefaultRunCoordinator)
        assert isinstance(instance.event_log_storage, NodeEventLogStorage)
        assert isinstance(instance.run_storage, NodeRunStorage)
        assert isinstance(instance.schedule_storage, NodeScheduleStorage)
        assert not instance.run_retries_enabled
        assert not instance.run_monitoring_enabled


@pytest.mark.parametrize(
    ("ours", "stock"), [(NodeRunStorage, SqliteRunStorage), (NodeScheduleStorage, SqliteScheduleStorage)]
)
def test_a_database_is_compared_with_its_migrations_once(tmp_path, ours, stock) -> None:
    """The code server made two storages for each tick, and Alembic kept something of each for good."""
    config = {"base_dir": str(tmp_path)}

    def kept_by(storage) -> int:
        before = kept_for_ever()
        opened = [storage.from_config_value(None, config) for _ in range(5)]
        assert all(isinstance(each, storage) for each in opened)
        return kept_for_ever() - before

    assert kept_by(ours) <= 2  # when it is created
    assert kept_by(ours) == 0
    assert kept_by(stock) == 5, "nothing is kept any more: this way round can go"
    for path in tmp_path.glob("*.db*"):
        path.unlink()
    _engine.cache_clear()  # of the removed file
    ours.from_config_value(None, config)
    assert next(tmp_path.glob("*.db")).stat().st_size > 0  # made again


def kept_for_ever() -> int:
    """The number of exit stacks: Alembic leaves one to the end of the process in each comparison."""
    gc.collect()
    return sum(type(each) is contextlib.ExitStack for each in gc.get_objects())


def test_a_table_is_looked_for_once(tmp_path, monkeypatch) -> None:
    """Each look made an engine and a connection: a seventh of the time of a small experiment's steps."""
    storage = NodeEventLogStorage(str(tmp_path))
    looks = []
    stock = ConsolidatedSqliteEventLogStorage.has_table
    monkeypatch.setattr(
        ConsolidatedSqliteEventLogStorage,
        "has_table",
        lambda self, name: looks.append(name) or stock(self, name),
    )
    assert [storage.has_table("dynamic_partitions") for _ in range(3)] == [True, True, True]
    assert [storage.has_table("no_such_table") for _ in range(2)] == [
        False,
        False,
    ]  # it may come with an upgrade
    assert looks.count("no_such_table") == 2
    assert looks.count("dynamic_partitions") <= 1


STORAGES = {
    "runs": (NodeRunStorage, SqliteRunStorage),
    "schedules": (NodeScheduleStorage, SqliteScheduleStorage),
    "event_log": (NodeEventLogStorage, ConsolidatedSqliteEventLogStorage),
}
CREATING = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from proteinx_pipelines_tests.defs.test_private import STORAGES

folder, name, left, which = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

@event.listens_for(Engine, "before_cursor_execute")
def die(_connection, _cursor, statement, *_):
    global left
    left -= statement.lstrip().startswith(("CREATE", "INSERT"))
    if left < 0:
        os._exit(9)

STORAGES[name][which].from_config_value(None, {"base_dir": folder})
"""
OURS, STOCK = 0, 1


def creating(folder: Path, name: str, dies_at: int = 999, which: int = OURS) -> "subprocess.Popen[bytes]":
    """A process that opens a storage, and dies before a statement that writes."""
    words = [str(folder), name, str(dies_at), str(which)]
    return subprocess.Popen([sys.executable, "-c", CREATING, *words])


def opened_schema(folder: Path, name: str, which: int = OURS) -> list[str]:
    """Names of tables and indexes of a storage that is opened here."""
    assert STORAGES[name][which].from_config_value(None, {"base_dir": str(folder)})
    with contextlib.closing(sqlite3.connect(folder / f"{name}.db")) as connection:
        return sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master"))


@pytest.mark.parametrize("name", STORAGES)
def test_a_database_is_whole_although_the_process_that_made_it_was_killed(tmp_path, name: str) -> None:
    """A node killed in its first start answered every experiment with "Asset checks require a migration", for good.

    Or there were tables without their indexes, which nothing told.
    """
    whole, halves = opened_schema(tmp_path / "whole", name), 0
    for which, points in ((OURS, (1, 7)), (STOCK, (4, 7))):
        for dies_at in points:
            folder = tmp_path / f"{which}-{dies_at}"
            assert creating(folder, name, dies_at, which).wait(120) == 9
            found = opened_schema(folder, name, which)
            assert which == STOCK or found == whole
            halves += found != whole
    assert halves, "the stock storage is whole, too: ours can go"


@pytest.mark.parametrize("name", STORAGES)
def test_several_processes_that_start_at_once_have_one_database(tmp_path, name: str) -> None:
    starting = [creating(tmp_path / "one", name) for _ in range(3)]
    assert [process.wait(120) for process in starting] == [0, 0, 0]
    assert opened_schema(tmp_path / "one", name) == opened_schema(tmp_path / "whole", name)
    assert [path.name for path in (tmp_path / "one").iterdir() if path.is_dir()] == []
