"""The node's own fixtures, for faults at the point of intake."""

from proteinx_pipelines_tests.node.conftest import intake, settings

__all__ = ["intake", "settings"]
