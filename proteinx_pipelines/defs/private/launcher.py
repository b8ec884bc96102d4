"""The run launcher: hands a run to the warm run host instead of starting a process for it.

Named in `dagster.yaml`; loaded by every process that opens the instance. It only sends: the run host
decides by `state.db` whether the run may start.
"""

from collections.abc import Mapping
from typing import Any

from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from proteinx_pipelines.defs.sending import send_run


class NodeRunLauncher(RunLauncher, ConfigurableClass):
    """Sends `proteinx.execute_run` to the run host's queue."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Origin of this object's configuration."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """No options: everything is in the node's settings."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "NodeRunLauncher":
        """Build the launcher as Dagster asks for it."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Queue the run for the run host."""
        send_run(context.dagster_run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Cancel the experiment behind a run: the stop comes from `state.db`, as for every other cancel."""
        from proteinx_pipelines.defs.attempts import cancel_run

        return cancel_run(self._instance, run_id)
