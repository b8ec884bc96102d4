"""`proteinx`: the table of commands. What they do is in the module that each entry names."""

import contextlib
import sys
from functools import partial

import click

from proteinx_pipelines.cli.lazy import Entry, LazyGroup
from proteinx_pipelines.visible import VisibleStream

_NODE, _WORK, _DATA, _PARTS = "The node", "Experiments", "Data and flags", "Parts of the node, each by hand"
_SCIENCE = "Models and benchmarks"
_HERE = "proteinx_pipelines.cli"
COMMANDS = {
    "init": Entry(f"{_HERE}.init:init", "Prepare a WORKDIR and write proteinx.toml.", _NODE),
    "up": Entry(f"{_HERE}.up:up", "Start the node and keep it running until Ctrl-C.", _NODE),
    "demo": Entry(
        f"{_HERE}.demo:demo", "Real variants in, finished experiments out, through the real queue.", _NODE
    ),
    "doctor": Entry(f"{_HERE}.doctor:doctor", "Say what is wrong with this node, and what to do.", _NODE),
    "completion": Entry(
        f"{_HERE}.completion:completion", "Print the completion for bash, zsh or fish.", _NODE
    ),
    "submit": Entry(f"{_HERE}.submit:submit", "Put an experiment on the queue.", _WORK),
    "plan": Entry(f"{_HERE}.plan:plan", "Say what an experiment would reuse and compute.", _WORK),
    "list": Entry(f"{_HERE}.listing:listing", "List the experiments of the queue, newest first.", _WORK),
    "show": Entry(f"{_HERE}.show:show", "Show one experiment: stages, metrics, files, history.", _WORK),
    "logs": Entry(f"{_HERE}.logs:logs", "Print an experiment's events and log, or follow them.", _WORK),
    "result": Entry(f"{_HERE}.result:result", "Print the result as it was sent.", _WORK),
    "cancel": Entry(f"{_HERE}.cancel:cancel", "Cancel an experiment that waits or runs.", _WORK),
    "dead": Entry(f"{_HERE}.dead:dead", "List experiments that were given up.", _WORK),
    "replay": Entry(f"{_HERE}.replay:replay", "Run what failed again, on what is computed already.", _WORK),
    "compare": Entry(
        f"{_HERE}.compare:compare", "Rank experiments, with a paired bootstrap against the best.", _WORK
    ),
    "diff": Entry(f"{_HERE}.diff:diff", "Compare two experiments: flags, stages, rows, metrics.", _WORK),
    "lineage": Entry(f"{_HERE}.lineage:lineage", "Follow a metric back to the rows it came from.", _WORK),
    "predict": Entry(
        f"{_HERE}.predict:predict", "Predict variants with a finished experiment's model.", _WORK
    ),
    "propose": Entry(f"{_HERE}.propose:propose", "Propose the variants to make next, with reasons.", _WORK),
    "model": Entry(f"{_HERE}.model:model", "Export, check and describe a model.", _WORK),
    "plots": Entry(f"{_HERE}.plots:plots", "List an experiment's pictures, or write them as PNG.", _WORK),
    "experiment": Entry(f"{_HERE}.experiment:experiment", "Remove, archive and restore experiments.", _WORK),
    "train": Entry(f"{_HERE}.train:train", "Train once, here and now, without a queue.", _WORK),
    "db": Entry(f"{_HERE}.db:db", "Import and look at measured variants.", _DATA),
    "store": Entry(f"{_HERE}.store:store", "List, check and clean what experiments share.", _DATA),
    "flags": Entry(f"{_HERE}.flags:flags", "List every flag with its type, default and meaning.", _DATA),
    "bench": Entry(
        f"{_HERE}.bench:bench", "Run published benchmarks beside the published numbers.", _SCIENCE
    ),
    "models": Entry(f"{_HERE}.models:models", "List the models, one line each.", _SCIENCE),
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
    "web": Entry(f"{_HERE}.node_commands:web", "The web server: lineage, runs, plots.", _PARTS),
}
"""Every command: its module and its line in `proteinx --help`."""

_OF_PARTS = {name for name, entry in COMMANDS.items() if entry.section == _PARTS}
"""They log by themselves, in colours where somebody looks."""

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
        # A terminal without UTF-8 shows `?` for a letter it does not have, instead of ending the command.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")
        if not is_part and not isinstance(stream, VisibleStream):
            setattr(sys, name, VisibleStream(stream))
            context.call_on_close(partial(setattr, sys, name, stream))


if __name__ == "__main__":
    main(prog_name="proteinx")
