"""`proteinx submit`: an experiment onto the queue, and its stages on the screen."""

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.cli.watching import LOOK_S
from proteinx_pipelines.settings import Settings

if TYPE_CHECKING:
    from proteinx_pipelines.contract.request import ExperimentRequest
    from proteinx_pipelines.flags.tree import ExperimentFlags
    from proteinx_pipelines.state.store import StateStore

_NO_NODE_AFTER_S = 3.0
"""How long a message may lie on the list before we look whether a node is there at all, in seconds."""


@click.command(
    epilog=examples(
        "proteinx submit data.source=GB1 model.name=ridge --wait",
        "proteinx submit flags.json train.lr=0.01 --id gb1-lr-01",
        "proteinx submit flags.json --payload /data/my_assay.csv",
    )
)
@click.argument("flags", nargs=-1, required=True)
@click.option(
    "--id", "experiment_id", help="Name of the experiment; made from source, model and time when absent."
)
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
@click.option(
    "--payload", metavar="REF", help="CSV, Parquet or SQLite file to take the data from, not the catalog."
)
@click.option("--priority", type=int, default=0, show_default=True, help="-100 to 100; higher goes first.")
def submit(
    flags: tuple[str, ...], experiment_id: str | None, wait: bool, payload: str | None, priority: int
) -> None:
    """Put an experiment on the queue.

    FLAGS are one file (JSON or name=value lines), pairs like train.lr=0.01, or both: pairs win. All problems of
    the flags are reported at once, before anything is sent.

    With --wait the exit code is 0 when the experiment SUCCEEDED and 1 otherwise. Ctrl-C stops the waiting, not
    the experiment.
    """
    from proteinx_pipelines.cli.flag_arguments import read_flags
    from proteinx_pipelines.errors import QueueUnavailable
    from proteinx_pipelines.node.line import master_queue
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    request = compose(read_flags(flags), experiment_id, payload, priority)
    try:
        master_queue(settings).enqueue(request.raw)
    except QueueUnavailable as error:
        raise QueueUnavailable(
            f"{error} Is the node running (`proteinx up`), and REDIS_URL right?"
        ) from error
    if wait:
        raise SystemExit(wait_for(settings, request))
    click.echo(f"Submitted {request.experiment_id}. See it with `proteinx show {request.experiment_id}`.")


def compose(
    flags: "ExperimentFlags", experiment_id: str | None, payload: str | None, priority: int
) -> "ExperimentRequest":
    """The message of an experiment, checked as the node will check it.

    Raises:
        MessageError: the id, the payload or the priority cannot be used; all problems at once.
    """
    from proteinx_pipelines.contract.request import parse_message

    document: dict[str, Any] = {
        "experiment_id": experiment_id or readable_id(flags),
        "flags": _with_absolute_paths(flags),
        "payload_ref": _absolute(payload),
        "message_id": f"submit-{secrets.token_hex(12)}",
        "priority": priority,
        "schema_version": 1,
    }
    return parse_message(json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8"))


def readable_id(flags: "ExperimentFlags") -> str:
    """A new name that says something: `gb1-ridge-0301-120000-x7k`."""
    import re

    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{flags.data.source[0]}-{flags.model.name}").strip("-").lower()
    return f"{words[:60].strip('-') or 'experiment'}-{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def wait_for(settings: Settings, request: "ExperimentRequest") -> int:
    """Show an experiment until it has ended; the exit code."""
    from proteinx_pipelines.cli.outcome import show_result
    from proteinx_pipelines.cli.watching import watch
    from proteinx_pipelines.state.store import StateStore

    state = StateStore(settings.state_path)
    try:
        answer = _wait_until_taken(settings, state, request)
        if answer.verdict == "ACCEPTED":
            watch(lambda: _row(state, answer), request.experiment_id)
            result = state.result(_row(state, answer).result_id or "")
        else:
            result = state.result(answer.result_id)
    except KeyboardInterrupt:
        click.echo(
            f"\nNot waiting any longer; {request.experiment_id} goes on. `proteinx cancel` would stop it."
        )
        return 130
    assert result is not None  # stored in the same transaction as the verdict
    return show_result(settings, result)


def _wait_until_taken(settings: Settings, state: "StateStore", request: "ExperimentRequest") -> Any:
    """The node's verdict about a message: accepted or refused."""
    from proteinx_pipelines.node.readiness import heart_beats

    look_at = time.monotonic() + _NO_NODE_AFTER_S
    while (answer := state.answered(request.message_key)) is None:
        if time.monotonic() > look_at:
            look_at = float("inf")
            if not heart_beats(settings):
                click.echo(
                    f"{request.experiment_id} is on the list, and no node {settings.node_name} takes messages now. "
                    "Start it with `proteinx up`; the message waits.",
                    err=True,
                )
        time.sleep(LOOK_S)
    return answer


def _row(state: "StateStore", answer: Any) -> Any:
    return state.generation(answer.experiment_id, answer.generation)


def _with_absolute_paths(flags: "ExperimentFlags") -> dict[str, Any]:
    """The flags, nested, with every path as the shell means it: `proteinx train` finds the same files."""
    from proteinx_pipelines.execution.external import named_paths

    nested = flags.nested()
    for name, text in named_paths(flags).items():
        group, flag = name.split(".")
        nested[group][flag] = _absolute(text)
    return nested


def _absolute(path: str | None) -> str | None:
    """A path as the shell means it: relative to the current folder, where it is there, else as the node means it."""
    try:
        return str(Path(path).resolve()) if path and Path(path).exists() else path
    except (OSError, ValueError):  # longer than a path can be: the node says so
        return path
