"""Commands that each run one process of the node in the foreground; `proteinx up` starts all of them."""

import os
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.node.processes.node_process import begin_part, run_to_the_end

if TYPE_CHECKING:
    from proteinx_pipelines.settings import Settings


def _begin(part: str) -> "Settings":
    """Settings of this process; sets Dagster's environment variables before Dagster is imported."""
    from proteinx_pipelines.node.processes.part_logging import begin_logging
    from proteinx_pipelines.node.processes.workdir import never_make_again, prepare_workdir
    from proteinx_pipelines.redaction import redact_output
    from proteinx_pipelines.settings import load_settings

    is_supervised = begin_part()
    redact_output()
    settings = load_settings()
    begin_logging(settings, part)
    if not is_supervised:
        prepare_workdir(settings)
    never_make_again(settings.workdir)  # a supervisor has made it; a part that starts later must not
    prepare_workdir(settings)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    return settings


def _begin_dagster(part: str) -> "Settings":
    """Like `_begin`, for a process that opens Dagster's databases."""
    from proteinx_pipelines.defs.history import create_history

    settings = _begin(part)
    create_history(settings)
    return settings


@click.command()
def redis() -> None:
    """Run the embedded Redis-protocol server (Valkey) of this WORKDIR.

    It listens on 127.0.0.1 only; its address is in WORKDIR/run/redis.json. Not needed when REDIS_URL is set.
    """
    from proteinx_pipelines.node.processes.embedded import become_redis

    become_redis(_begin("redis"))


@click.command("code-server")
def code_server() -> None:
    """Run the code server: it holds the definitions and executes the sensor that takes messages."""
    settings = _begin_dagster("code-server")
    from proteinx_pipelines.defs.servers import run_code_server

    run_to_the_end(run_code_server, settings)


@click.command()
def daemon() -> None:
    """Run the daemon: it ticks the code server's sensor and creates runs."""
    settings = _begin_dagster("daemon")
    from proteinx_pipelines.defs.servers import run_daemon

    run_to_the_end(run_daemon, settings)


@click.command()
def host() -> None:
    """Run the run host: it executes the loop of one run at a time and turns the run's end into a result."""
    settings = _begin_dagster("host")
    from proteinx_pipelines.defs.processes import run_host

    run_to_the_end(run_host, settings)


@click.command()
def worker() -> None:
    """Run the step worker: it executes the stages, one experiment after another."""
    settings = _begin_dagster("worker")
    from proteinx_pipelines.defs.processes import run_worker

    run_to_the_end(run_worker, settings)


@click.command()
def agent() -> None:
    """Run the agent: heartbeats, delivery of results, cancels, and the reconciler."""
    settings = _begin_dagster("agent")
    from proteinx_pipelines.defs.processes import run_agent

    run_to_the_end(run_agent, settings)


@click.command()
def web() -> None:
    """Run the web server on 127.0.0.1: lineage, partitions, runs and plots.

    Its port is PROTEINX_WEB_PORT, or any free one; the address is in WORKDIR/run/web.json.
    """
    settings = _begin_dagster("web")
    from proteinx_pipelines.defs.servers import run_web

    run_to_the_end(run_web, settings)


@click.command("fork-server")
def fork_server() -> None:
    """Run the fork server of `proteinx up`: it imports what the parts need and forks them."""
    from proteinx_pipelines.node.processes.fork_server import serve

    _begin("fork-server")
    from proteinx_pipelines.defs.preloading import preload_parts

    preload_parts()
    part = serve()
    if part is not None:
        click.get_current_context().find_root().command.main(args=[part], prog_name="proteinx")
