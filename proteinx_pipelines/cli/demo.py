"""`proteinx demo`: real measurements through Master, queue, worker and daemon, as another program uses them.

Master and node run in separate processes. This process plays the program that sends experiments: it uses only a Redis
client and JSON.
"""

import json
import os
import shlex
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import redis

    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.settings import Settings

SOURCES = {
    "A4_HUMAN_Seuma_2021": "variants of amyloid-beta",
    "GB1_Nisthal_2019": "substitutions in protein G",
}
"""Packaged measurements and their descriptions. The demo uses the first set; the examples use both."""
_LONGEST_WAIT_S = 300.0
"""Seconds to wait for one result before the demo gives up."""


@click.command()
@click.option(
    "--workdir",
    type=click.Path(file_okay=False, path_type=Path),
    help="WORKDIR of the demo; by default the usual one.",
)
def demo(workdir: Path | None) -> None:
    r"""Run experiments on real data through the queue, then stop the node.

    Imports the measurements that come with the package: 14,483 variants of amyloid-beta (Seuma et al. 2021) and, for
    the examples, 813 of protein G (Nisthal et al. 2019). Starts Master and node unless a node runs in this WORKDIR,
    prints the page to open, and sends
    three messages with a plain Redis client: a random split; the same data with another split under another id, which
    takes the stages already computed for the first; and the first id again with another seed, which recomputes the
    split and the stages after it, and proposes the ten double mutants to make next.
    """
    from proteinx_pipelines.cli.demo_node import running_node
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.settings import load_settings

    began = time.monotonic()
    if workdir is not None:
        os.environ["PROTEINX_WORKDIR"] = str(workdir.resolve())
    settings = load_settings()
    click.echo(f"ProteinX demo in {settings.workdir}")
    with running_node(settings) as node:
        for done in import_data(settings):
            _say(began, done)
        node.wait_until_ready()
        _say(began, f"{node.words}, listens on {node.settings.queue_name!r}")
        if node.page is not None:
            _say(began, f"open {node.page} to watch: jobs, stages, curves, reports")
        client = node.client()
        sent = messages(time.strftime("%m%d-%H%M%S"))
        results = [_run(began, node.settings, client, message) for message in sent]
    print_results(settings, results)
    where = "" if workdir is None else f"PROTEINX_WORKDIR={shlex.quote(str(settings.workdir))} "
    click.echo(
        f"\nDone in {time.monotonic() - began:.0f} s. `{where}proteinx list` shows what has run; "
        f"`{where}proteinx up` serves its pages."
    )
    if reports := [each for each in results if each["status"] == "SUCCEEDED"]:
        newest = ExperimentDir(settings.experiments_dir, reports[-1]["experiment_id"])
        click.echo(f"Open {newest.report_html.as_uri()}")
    raise SystemExit(0 if all(result["status"] == "SUCCEEDED" for result in results) else 1)


def messages(stamp: str) -> list[dict[str, Any]]:
    """The three messages, in the form a Master would send."""
    by_chance, by_count = _flags("1_random.json"), _flags("2_singles_to_doubles.json")
    again = {**by_chance, "split": {**by_chance["split"], "seed": 2}, "run": {"allow_duplicate": True}}
    again["design"] = {"library": "doubles", "best": 120, "n": 10, "most_per_position": 3}
    first, second = f"demo-random-{stamp}", f"demo-doubles-{stamp}"
    return [
        {"experiment_id": name, "flags": flags, "message_id": f"demo-{stamp}-{number}", "schema_version": 1}
        for number, (name, flags) in enumerate(
            [(first, by_chance), (second, by_count), (first, again)], start=1
        )
    ]


def _flags(name: str) -> dict[str, Any]:
    text = resources.files("proteinx_pipelines.demo").joinpath("flags", name).read_text(encoding="utf-8")
    return dict(json.loads(text))


def import_data(settings: "Settings") -> Iterator[str]:
    """Import the packaged measurements into the catalog, each source once; returns a sentence about it."""
    from proteinx_pipelines.catalog.importing import import_file
    from proteinx_pipelines.catalog.reading import source_names

    known = source_names(settings.database_path) if settings.database_path.is_file() else ()
    folder = Path(str(resources.files("proteinx_pipelines.demo"))) / "data"
    for source, rows in SOURCES.items():
        if source in known:
            yield f"{source} is in the catalog already"
        else:
            report = import_file(settings.database_path, folder / f"{source}.csv.gz")
            yield f"imported {report.rows:,} {rows} ({source})"


def _run(
    began: float, settings: "Settings", client: "redis.Redis", message: dict[str, Any]
) -> dict[str, Any]:
    """LPUSH one message and BRPOP its result."""
    from proteinx_pipelines.services.stage_view import stages_sentence

    _say(
        began,
        f"LPUSH {settings.queue_name}  {message['experiment_id']}  split: {json.dumps(message['flags']['split'])}",
    )
    client.lpush(settings.queue_name, json.dumps(message))
    result = _pop(settings, client, message["message_id"])
    _say(
        began, f"BRPOP {settings.result_queue_name}  {result['status']}  {stages_sentence(result['stages'])}"
    )
    return result


def _pop(settings: "Settings", client: "redis.Redis", message_id: str) -> dict[str, Any]:
    """The result of one message; results of other messages are put back on the list."""
    others: list[bytes] = []
    end = time.monotonic() + _LONGEST_WAIT_S
    try:
        while time.monotonic() < end:
            popped: Any = client.brpop([settings.result_queue_name], timeout=1)
            if popped is None:
                continue
            document = json.loads(popped[1])
            if document["message_id"] == message_id:
                return dict(document)
            others.append(popped[1])
    finally:
        for raw in reversed(others):
            client.rpush(settings.result_queue_name, raw)
    raise click.ClickException(
        f"No result of {message_id} within {_LONGEST_WAIT_S:.0f} s. See {settings.logs_dir} and `proteinx list`."
    )


def print_results(settings: "Settings", results: list[dict[str, Any]]) -> None:
    """Print the first result in full, all results side by side, and for each the report's path or its error."""
    from proteinx_pipelines.cli.terminal import console, number, table
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir

    click.echo("\nThe first result, as it was on the list:")
    click.echo(json.dumps(results[0], indent=1, ensure_ascii=False))
    titles = [f"{result['experiment_id']} gen {result['generation'] or '-'}" for result in results]
    rows = table(["", *titles])
    for stage in dict.fromkeys(stage for result in results for stage in result["stages"]):
        rows.add_row(stage, *(result["stages"].get(stage, "") for result in results))
    rows.add_section()
    for metric in dict.fromkeys(metric for result in results for metric in result["summary"]):
        rows.add_row(metric, *(number(result["summary"].get(metric)) for result in results))
    console().print(rows)
    for result, title in zip(results, titles, strict=True):
        if result["error"]:
            click.echo(f"{title}: {result['error']['code']}: {result['error']['message']}", err=True)
    newest = {
        result["experiment_id"]: result for result in results
    }  # generations of an experiment share a directory
    for result in newest.values():
        if result["status"] == "SUCCEEDED":
            directory = ExperimentDir(settings.experiments_dir, result["experiment_id"])
            click.echo(f"report: {directory.report_html}")
            _print_proposals(directory)


def _print_proposals(directory: "ExperimentDir") -> None:
    """The variants to make next, where the experiment was asked for them."""
    from proteinx_pipelines.cli.terminal import console, number, table
    from proteinx_pipelines.errors import MissingArtifact
    from proteinx_pipelines.experiment_dir.codecs.design import load

    try:
        proposed = load(directory).proposals.to_pylist()
    except MissingArtifact:
        return
    rows = table(["make next", "predicted", "beats wild type", "why"])
    for row in proposed:
        rows.add_row(
            row["mutant"], number(row["prediction"]), f"{row['p_better_than_wild_type']:.0%}", row["reason"]
        )
    console().print(rows)


def _say(began: float, text: str) -> None:
    click.echo(f"[{time.monotonic() - began:5.1f} s] {text}")
