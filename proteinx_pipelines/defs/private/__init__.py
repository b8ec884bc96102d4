"""The only package that uses private parts of dagster and dagster-celery; `test_private.py` checks each of them.

* `execution`: `CeleryExecutor` (subclassed), `execute_plan_iterator`, `create_execution_plan`, and the run loop of a
  launched run.
* `sensor_daemon`: the loop of the sensor daemon, its pause and its rule for the next tick.
* `launcher`: `RunLauncher`, whose import path is private although writing one is documented.
* `storage`: the SQLite storages (subclassed): they open and close the database for every single event.
"""
