"""`trainer.*`: Lightning's Trainer arguments that JSON can carry, checked against a packaged snapshot."""

from typing import Any

from pydantic import ConfigDict

from proteinx_pipelines.flags.base import FlagGroup


class TrainerFlags(FlagGroup):
    """Arguments of Lightning's Trainer, by their own names."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    def arguments(self) -> dict[str, Any]:
        """The arguments that were given."""
        return dict(self.model_extra or {})
