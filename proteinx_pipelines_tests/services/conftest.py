"""The history and the commands of the command line's tests: services are tried on what a node's intake has written."""

from proteinx_pipelines_tests.cli.conftest import folder, history, proteinx, settings

__all__ = ["folder", "history", "proteinx", "settings"]
