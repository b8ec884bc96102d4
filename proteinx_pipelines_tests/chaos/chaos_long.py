"""A plugin for the step worker under test: a long stage, and a journal of deliveries and executions.

`CHAOS_JOURNAL` names the file, `CHAOS_LONG_S` the length of the stage `selection` in seconds.
"""

import os
import sys
import time

import chaos_journal
from celery.signals import task_prerun

from proteinx_pipelines.defs.private import execution
from proteinx_pipelines.execution.attempt import Attempt

_run_stage = Attempt.run_stage
_execute_steps = execution.execute_steps


def run_stage(self, name, record):
    if name == "selection":
        self.monitor.begin_stage(name)
        time.sleep(float(os.environ["CHAOS_LONG_S"]))
    return _run_stage(self, name, record)


def execute_steps(instance, run_id, *given, **named):
    chaos_journal.write(event="executed", run=run_id, id=run_id, generation=0)
    return _execute_steps(instance, run_id, *given, **named)


@task_prerun.connect(weak=False)
def delivered(sender=None, kwargs=None, **_):
    if sender.name.endswith("execute_steps"):
        chaos_journal.write(event="delivered", run=kwargs["run_id"], id=kwargs["run_id"], generation=0)


Attempt.run_stage = run_stage
execution.execute_steps = execute_steps
if "unguarded_claims" in sys.modules:
    sys.modules["unguarded_claims"].switch_off()
