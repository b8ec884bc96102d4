"""The IO manager: publishes what a stage saved into the experiment directory, and reads it back for the next stage.

Records of the run in progress are handed on in memory; what another process wrote is read from its files.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from proteinx_pipelines.defs.attempts import attempt_of
from proteinx_pipelines.execution.attempt import StageResult


class ExperimentDirIOManager(dg.ConfigurableIOManager):
    """One stage's record <-> its files below `<WORKDIR>/experiments/<experiment_id>/`."""

    hand_on_in_memory: bool = Field(default=True, description="Pass records between steps of one run without reading files.")

    def handle_output(self, context: dg.OutputContext, obj: StageResult) -> None:
        """Move the saved files into place, if the run's attempt still owns the directory."""
        attempt = attempt_of(context.run_id, dict(context.run_tags))
        entry = attempt.publish(obj)
        if not self.hand_on_in_memory:
            attempt.records.clear()
        listing = "\n".join(f"- `{name}` ({fact['size']:,} bytes)" for name, fact in sorted(entry.files.items()))
        context.add_output_metadata(
            {"directory": dg.MetadataValue.path(str(attempt.directory.root)), "files": dg.MetadataValue.md(listing)}
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The record of an upstream stage."""
        run_id, tags = _run_of(context)
        return attempt_of(run_id, tags).record(context.asset_key.path[-1])


def _run_of(context: dg.InputContext) -> tuple[str, dict[str, str]]:
    run = context.step_context.dagster_run
    return run.run_id, dict(run.tags)
