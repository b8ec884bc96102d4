"""Sweeps of the command line: their experiments as one group of a Master."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from proteinx_pipelines.cli.at_master import client_of, master_or_here, uploaded
from proteinx_pipelines.cli.json_output import print_json
from proteinx_pipelines.visible import one_line


def submit_sweep(
    url: str | None,
    arguments: Sequence[str],
    unit: Mapping[str, Any],
    *,
    group: str,
    payload: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Send the experiments of a unit as one; the exit status is 1 if, with `wait`, one does not succeed.

    Args:
        url: of the Master; None is the one that runs in this WORKDIR.
        arguments: FLAGS of the command line, pairs alone, added to the unit's own `flags`.
        unit: what varies, and the other fields of `POST /api/groups/{id}/units`.
        group: name of the group.
        payload: a file here, which is uploaded, or the name of an uploaded data set; None is the nodes' catalog.
        wait: until all have ended.
        as_json: print JSON: the unit, and its jobs.

    Raises:
        FlagError: a pair cannot be read.
        MasterRefused: flags of an experiment have problems, and it says of which.
        ClickException: there is no Master.
    """
    with client_of(master_or_here(url)) as client:
        asked = {**unit, "flags": {**unit.get("flags", {}), **_flags(arguments, payload)}}
        if payload is not None:
            asked["dataset"] = uploaded(client, payload) if Path(payload).is_file() else payload
        sweep = client.sweep(group, **asked)
        if not as_json:
            total = sweep.counts()["total"]
            click.echo(
                f"{total} experiments wait as {sweep.unit_id} in the group {group!r} ({sweep.group_id})."
            )
        jobs = sweep.wait() if wait else sweep.jobs()
        if as_json:
            document = client.ask_document(f"/api/units/{sweep.unit_id}")
            print_json({**document, "jobs": [job.document() for job in jobs]})
        elif wait:
            for job in jobs:
                score = job.summary.get("test/spearman")
                click.echo(
                    one_line(f"{job.experiment_id} is {job.state}" + (f": {score:.4g}" if score else ""))
                )
    return int(wait and any(job.state != "SUCCEEDED" for job in jobs))


def _flags(arguments: Sequence[str], payload: str | None) -> dict[str, object]:
    from proteinx_pipelines.cli.flag_arguments import with_source_of
    from proteinx_pipelines.errors import FlagError
    from proteinx_pipelines.flags.pairs import read_pairs
    from proteinx_pipelines.flags.problems import sentences

    flags, problems = read_pairs(with_source_of(payload, arguments))
    if problems:
        raise FlagError(sentences(problems))
    return flags
