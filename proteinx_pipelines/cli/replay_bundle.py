"""`proteinx replay BUNDLE`: checks what a failure bundle needs, lists what is missing here, and runs it again."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.json_output import print_json
from proteinx_pipelines.errors import NotReplayable

if TYPE_CHECKING:
    from proteinx_pipelines.contract.failure import FailureBundle
    from proteinx_pipelines.contract.request import ExperimentRequest
    from proteinx_pipelines.execution.replay_needs import Finding
    from proteinx_pipelines.settings import Settings

MOST_BYTES = 64_000_000
"""Largest bundle in bytes. A bundle's texts are bounded; a larger file is not a bundle."""


def replay_bundle(
    settings: "Settings", path: Path, *, check: bool, here: bool, experiment_id: str | None, payload: str | None,
    force: bool, wait: bool, as_json: bool = False,
) -> int:  # fmt: skip
    """Execute the command; returns the exit code.

    Raises:
        NotReplayable: the file is no failure bundle.
        ProteinxError: as the experiment says, when it runs here.
    """
    from proteinx_pipelines.execution.replay_needs import held_against_this_node
    from proteinx_pipelines.services.replaying import message_of_bundle

    bundle = read_bundle(path)
    payload = str(Path(payload).resolve()) if payload else None
    request = message_of_bundle(
        bundle, node=settings.node_name, experiment_id=experiment_id, payload_ref=payload
    )
    if not as_json:
        _print_failure(bundle)
    found = held_against_this_node(
        settings, bundle, request.flags, payload_ref=request.payload_ref, confined=not here
    )
    in_the_way = [each for each in found if each.is_in_the_way]
    if not as_json:
        _print_findings(found)
    elif check or (in_the_way and not force):
        print_json(_document(bundle, found))
    if check:
        return 1 if in_the_way else 0
    if in_the_way and not force:
        click.echo(
            f"Not run: {len(in_the_way)} of {len(found)} requirements are missing or differ. "
            "Fix them, or run it all the same with --force.",
            err=True,
        )
        return 1
    run = _run_here if here else partial(_send, wait=wait)
    return run(settings, request, as_json=as_json)


def read_bundle(path: Path) -> "FailureBundle":
    """Read a failure bundle.

    Raises:
        NotReplayable: the file is too large, no JSON, or not a failure bundle.
    """
    from pydantic import ValidationError

    from proteinx_pipelines.contract.failure import FailureBundle

    size = path.stat().st_size
    if size > MOST_BYTES:
        raise NotReplayable(f"{path} has {size:,} bytes; a failure bundle has at most {MOST_BYTES:,}.")
    try:
        return FailureBundle.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in error.errors()[:5]
        )
        raise NotReplayable(
            f"{path} is not a failure bundle ({problems}). They are in WORKDIR/failures; `proteinx dead` lists them."
        ) from error


def _document(bundle: "FailureBundle", found: "list[Finding]") -> dict[str, Any]:
    needs = [
        {"what": each.what, "state": each.state, "text": each.text, "is_in_the_way": each.is_in_the_way}
        for each in found
    ]
    return {"experiment_id": bundle.experiment_id, "generation": bundle.generation, "needs": needs}


def _print_failure(bundle: "FailureBundle") -> None:
    stage = f" in {bundle.error.stage}" if bundle.error.stage else ""
    first = (bundle.error.message or "").strip().splitlines() or [""]
    click.echo(
        f"{bundle.experiment_id}, generation {bundle.generation}, FAILED on {bundle.node}{stage}: "
        f"{bundle.error.code}: {first[0][:200]}"
    )


def _print_findings(found: "list[Finding]") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, table

    rows = table(["needs", "here", ""])
    for each in found:
        rows.add_row(escape(each.what), each.state, escape(each.text))
    console().print(rows)


def _send(settings: "Settings", request: "ExperimentRequest", *, wait: bool, as_json: bool) -> int:
    from proteinx_pipelines.cli.waiting import report_decision, wait_for
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue
    from proteinx_pipelines.services.submitting import submit

    submit(NodeQueue(settings), request)
    then = wait_for if wait else report_decision
    return then(settings, request, as_json=as_json)


def _run_here(settings: "Settings", request: "ExperimentRequest", *, as_json: bool) -> int:
    from proteinx_pipelines.cli.terminal import console, metric_table
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.node.processes.locks import ProcessLock
    from proteinx_pipelines.node.processes.workdir import prepare_workdir
    from proteinx_pipelines.plugins import load_plugins

    load_plugins()
    prepare_workdir(settings)
    name = request.experiment_id
    lock = ProcessLock(settings.paths.lock(f"train-{name}"), f"Training of {name}")
    lock.acquire()
    finished = run_local_experiment(
        settings, name, request.flags, payload_ref=request.payload_ref,
        on_stage=None if as_json else lambda stage, entry: click.echo(f"  {stage:<10} {entry.action}"),
    )  # fmt: skip
    if as_json:
        print_json(
            {"experiment_id": name, "directory": finished.directory.root, "summary": finished.summary,
             "report": finished.directory.report_html}
        )  # fmt: skip
        return 0
    console().print(metric_table(finished.summary))
    click.echo(f"report       {finished.directory.report_html}")
    return 0
