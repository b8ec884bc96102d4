"""A plugin for the step worker under test: stages of an experiment named `stubborn...` neither react nor report."""

import time

from proteinx_pipelines.execution.attempt import Attempt

_run_stage = Attempt.run_stage


def run_stage(self, name, record):
    if self.directory.experiment_id.startswith("stubborn"):
        self.monitor.begin_stage(name)
        time.sleep(600)
    return _run_stage(self, name, record)


Attempt.run_stage = run_stage
