"""The IO manager: publishes a stage's saved files into the experiment directory, and reads them for the next stage.

Records of the run in progress are passed in memory; the records of another process are read from its files.
"""

from typing import Any

import dagster as dg

from proteinx_pipelines.defs.attempts import attempt_of
from proteinx_pipelines.execution.attempt import Attempt, StageResult


class ExperimentDirIOManager(dg.ConfigurableIOManager):
    """One stage's record <-> its files below `<WORKDIR>/experiments/<experiment_id>/`."""

    def handle_output(self, context: dg.OutputContext, obj: StageResult) -> None:
        """Move the saved files into place, if the run's attempt still owns the directory."""
        attempt = _attempt_of(context)
        entry = attempt.publish(obj)
        listing = "\n".join(
            f"- `{name}` ({fact['size']:,} bytes)" for name, fact in sorted(entry.files.items())
        )
        context.add_output_metadata(
            {
                "directory": dg.MetadataValue.path(str(attempt.directory.root)),
                "files": dg.MetadataValue.md(listing),
            }
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The record of an upstream stage."""
        return _attempt_of(context).record(context.asset_key.path[-1])


def _attempt_of(context: dg.InputContext | dg.OutputContext) -> Attempt:
    return attempt_of(context.step_context.instance, context.step_context.dagster_run)
