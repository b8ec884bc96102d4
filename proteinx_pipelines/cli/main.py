"""`proteinx`: the table of commands. Each entry names the module that implements it."""

import contextlib
import sys
from functools import partial

import click

from proteinx_pipelines.cli.lazy import Entry, LazyGroup
from proteinx_pipelines.visible import VisibleStream

_NODE, _WORK, _DATA, _PARTS = "The node", "Experiments", "Data and flags", "Processes of the node, one by one"
_SCIENCE = "Models and benchmarks"
_HERE = "proteinx_pipelines.cli"
COMMANDS = {
    "init": Entry(f"{_HERE}.init:init", "Prepare a WORKDIR and write proteinx.toml.", _NODE),
    "up": Entry(f"{_HERE}.up:up", "Start the node and keep it running until Ctrl-C.", _NODE),
    "master": Entry(f"{_HERE}.master:master", "Run the Master: jobs, nodes and pages over HTTP.", _NODE),
    "node": Entry(f"{_HERE}.up:node", "Run a node for a Master on another machine.", _NODE),
    "demo": Entry(
        f"{_HERE}.demo:demo", "Real variants in, finished experiments out, through the real queue.", _NODE
    ),
    "doctor": Entry(f"{_HERE}.doctor:doctor", "Check this node and print a remedy for each problem.", _NODE),
    "backup": Entry(f"{_HERE}.backup:backup", "Copy a WORKDIR and its Master into a folder.", _NODE),
    "restore": Entry(f"{_HERE}.backup:restore", "Put a backup into an empty WORKDIR.", _NODE),
    "docs": Entry(f"{_HERE}.docs:docs", "Open the documentation, offline.", _NODE),
    "completion": Entry(
        f"{_HERE}.completion:completion", "Print the completion script for bash, zsh or fish.", _NODE
    ),
    "submit": Entry(f"{_HERE}.submit:submit", "Put an experiment on the queue.", _WORK),
    "sweep": Entry(
        f"{_HERE}.sweep:sweep", "Send many experiments that differ in some flags, to a Master.", _WORK
    ),
    "plan": Entry(f"{_HERE}.plan:plan", "Print what an experiment would reuse and compute.", _WORK),
    "list": Entry(f"{_HERE}.listing:listing", "List the experiments of the queue, newest first.", _WORK),
    "show": Entry(f"{_HERE}.show:show", "Show one experiment: stages, metrics, files, history.", _WORK),
    "logs": Entry(f"{_HERE}.logs:logs", "Print an experiment's events and log, or follow them.", _WORK),
    "result": Entry(f"{_HERE}.result:result", "Print the result as it was sent.", _WORK),
    "cancel": Entry(f"{_HERE}.cancel:cancel", "Cancel a waiting or running experiment.", _WORK),
    "job": Entry(f"{_HERE}.job:job", "Retry, clone, hold and move jobs at a Master; pause its queue.", _WORK),
    "mcp": Entry(f"{_HERE}.mcp:mcp", "Offer a Master's verbs to agents, over MCP.", _WORK),
    "dead": Entry(f"{_HERE}.dead:dead", "List failed experiments and their failure bundles.", _WORK),
    "usage": Entry(
        f"{_HERE}.usage:usage",
        "Report success by node and model, reasons of failure, seconds and joules.",
        _WORK,
    ),
    "replay": Entry(
        f"{_HERE}.replay:replay", "Run a failed experiment again, reusing finished stages.", _WORK
    ),
    "compare": Entry(
        f"{_HERE}.compare:compare", "Rank experiments, with a paired bootstrap against the best.", _WORK
    ),
    "diff": Entry(f"{_HERE}.diff:diff", "Compare two experiments: flags, stages, rows, metrics.", _WORK),
    "lineage": Entry(f"{_HERE}.lineage:lineage", "Trace a metric back to the measured rows.", _WORK),
    "predict": Entry(
        f"{_HERE}.predict:predict", "Predict variants with a finished experiment's model.", _WORK
    ),
    "propose": Entry(f"{_HERE}.propose:propose", "Propose the variants to make next, with reasons.", _WORK),
    "round": Entry(f"{_HERE}.round:round_", "Lead a campaign: plates, measurements, promises kept.", _WORK),
    "simulate": Entry(
        f"{_HERE}.simulate:simulate",
        "Simulate campaigns on measured variants, with baselines and luck.",
        _WORK,
    ),
    "model": Entry(f"{_HERE}.model:model", "Export, check and describe a model.", _WORK),
    "plots": Entry(f"{_HERE}.plots:plots", "List an experiment's pictures, or write them as PNG.", _WORK),
    "experiment": Entry(f"{_HERE}.experiment:experiment", "Remove, archive and restore experiments.", _WORK),
    "train": Entry(f"{_HERE}.train:train", "Run one experiment in this process, without a queue.", _WORK),
    "db": Entry(f"{_HERE}.db:db", "Import and inspect measured variants.", _DATA),
    "store": Entry(f"{_HERE}.store:store", "List, check and clean the stages that experiments share.", _DATA),
    "track": Entry(f"{_HERE}.track:track", "Tell trackers of ended experiments what waits.", _WORK),
    "flags": Entry(f"{_HERE}.flags:flags", "List every flag with its type, default and meaning.", _DATA),
    "bench": Entry(f"{_HERE}.bench:bench", "Run published benchmarks and compare the numbers.", _SCIENCE),
    "prior": Entry(f"{_HERE}.prior:prior", "Learn a prior from other proteins' assays.", _SCIENCE),
    "models": Entry(f"{_HERE}.models:models", "List the models, one line each.", _SCIENCE),
    "rank": Entry(f"{_HERE}.rank:rank", "Lend this machine to trainings of another node.", _PARTS),
    "redis": Entry(f"{_HERE}.node_commands:redis", "The embedded Redis-protocol server.", _PARTS),
    "code-server": Entry(
        f"{_HERE}.node_commands:code_server", "The server that holds the definitions and the sensor.", _PARTS
    ),
    "daemon": Entry(
        f"{_HERE}.node_commands:daemon", "The daemon that ticks the sensor and starts runs.", _PARTS
    ),
    "host": Entry(
        f"{_HERE}.node_commands:host", "The run host: executes the loop of one run at a time.", _PARTS
    ),
    "worker": Entry(f"{_HERE}.node_commands:worker", "The step worker: executes the stages.", _PARTS),
    "agent": Entry(
        f"{_HERE}.node_commands:agent", "The agent: heartbeats, results, cancels, reconciling.", _PARTS
    ),
    "fork-server": Entry(
        f"{_HERE}.node_commands:fork_server", "The process that `up` forks the others from.", _PARTS
    ),
    "web": Entry(f"{_HERE}.node_commands:web", "The web server: lineage, runs, plots.", _PARTS),
}
"""Every command: its module and its line in `proteinx --help`."""

_OF_PARTS = {name for name, entry in COMMANDS.items() if entry.section == _PARTS}
"""Commands that configure their own logging, with colours on a terminal."""

EPILOG = """\b
Settings come from the environment (PROTEINX_WORKDIR, REDIS_URL, ...) or from proteinx.toml in
the current folder or one above. Begin with `proteinx demo`, or with `proteinx init` and `proteinx db import`."""


@click.group(
    name="proteinx", cls=LazyGroup, entries=COMMANDS, epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
@click.version_option(package_name="proteinx-infra", prog_name="proteinx")
@click.pass_context
def main(context: click.Context) -> None:
    """Protein-fitness experiments on one compute node: a queue message in, a finished experiment out."""
    is_part = context.invoked_subcommand in _OF_PARTS
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # A terminal without UTF-8 shows `?` for an unsupported character instead of ending the command.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")
        if not is_part and not isinstance(stream, VisibleStream):
            setattr(sys, name, VisibleStream(stream))
            context.call_on_close(partial(setattr, sys, name, stream))


if __name__ == "__main__":
    main(prog_name="proteinx")
