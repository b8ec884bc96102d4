"""Prints the end of an experiment: metrics, the origin of each stage, and the report's path or the error."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.cli.terminal import console, duration, metric_table, seconds_between, state_text
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.services.stage_view import stages_sentence
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.visible import indented


def show_result(settings: Settings, result: Mapping[str, Any], *, trace: bool = False) -> int:
    """Print a result document for a person; returns the exit code: 0 when it SUCCEEDED, else 1."""
    from rich.markup import escape

    screen = console()
    name = result["experiment_id"] or "(no usable experiment_id)"
    seconds = seconds_between(result["started_at"], result["finished_at"])
    took = f" in {duration(seconds)}" if seconds is not None else ""
    generation = f", generation {result['generation']}" if (result["generation"] or 1) > 1 else ""
    screen.print(f"{escape(name)}{generation}: {state_text(result['status'])}{took}")
    if result["error"]:
        screen.print(f"{result['error']['code']}: {indented(result['error']['message'])}", markup=False)
        if result["error"]["code"] == "code_failed":
            screen.print(
                "The code failed on these flags and data, and would fail again: change them, or report it with "
                f"the trace (proteinx show {escape(name)} --trace)."
            )
        elif result["error"]["retryable"]:
            screen.print("The node had a problem; the same experiment may succeed when it is sent again.")
    if result["trace"] and trace:
        screen.print(f"  {indented(result['trace'])}", markup=False)
    if result["summary"]:
        screen.print(metric_table(result["summary"]))
    if result["stages"]:
        screen.print(stages_sentence(result["stages"]))
    _show_report(settings, result)
    return 0 if result["status"] == "SUCCEEDED" else 1


def _show_report(settings: Settings, result: Mapping[str, Any]) -> None:
    if result["status"] != "SUCCEEDED":
        return
    directory = ExperimentDir(settings.experiments_dir, result["experiment_id"])
    if directory.report_html.is_file():
        # `soft_wrap`: a path broken over two lines cannot be copied or clicked.
        console().print(f"report: {directory.report_html}", soft_wrap=True, markup=False)
