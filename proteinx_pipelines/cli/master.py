"""`proteinx master`: the Master in the foreground, and `proteinx master token`, which makes a token."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    import socket

    from proteinx_pipelines.master.settings import MasterSettings

PART = "master"
STUCK_S = 60.0
"""Seconds without a round of dispatch after which the Master counts as stuck: no wait inside a round is longer."""


class _Group(PlainErrors, click.Group):
    """A group whose own command runs without a subcommand."""


@click.group(
    cls=_Group,
    invoke_without_command=True,
    epilog=examples(
        "proteinx master",
        "PROTEINX_MASTER_PORT=8080 proteinx master",
        "REDIS_URL=redis://queue.example:6379/0 PROTEINX_MASTER_HOST=0.0.0.0 PROTEINX_TOKEN=... proteinx master",
        "proteinx master --migrate-only",
        "proteinx master token --scope submit --name laptop",
    ),
)
@click.option(
    "--migrate-only",
    is_flag=True,
    help="Bring the database to this program's shape and end, without serving.",
)
@click.pass_context
def master(ctx: click.Context, migrate_only: bool) -> None:
    """Run the Master until Ctrl-C: one address for people, programs and nodes.

    It serves pages and HTTP at PROTEINX_MASTER_HOST (127.0.0.1) and PROTEINX_MASTER_PORT (8000, or a free one when that
    is taken), keeps its database in WORKDIR/master, and hands jobs to the nodes on its Redis. Without REDIS_URL it
    starts the embedded server of this WORKDIR. `proteinx up` runs a Master and a node together.

    A database of an older program is migrated at the start; one of a newer program is refused.
    """
    if ctx.invoked_subcommand is not None:
        return
    if migrate_only:
        _migrate()
    else:
        _run()


@master.command(
    cls=PlainErrors,
    epilog=examples("proteinx master token --scope submit", "proteinx master token --scope node"),
)
@click.option(
    "--scope", "scopes", multiple=True, default=("submit",), show_default=True,
    type=click.Choice(["read", "submit", "node", "admin"]), help="What the token may do; may be given again.",
)  # fmt: skip
@click.option("--name", default="", help="Whose token it is, for the list of tokens.")
@json_option
def token(scopes: tuple[str, ...], name: str, as_json: bool) -> None:
    """Make a token and print it, once: only its digest is kept.

    A Master that runs here makes it; otherwise it is written into the Master's database. A node elsewhere needs the
    scope `node`, a person or program that submits jobs `submit`.
    """
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.node.talking.master_http import running_master
    from proteinx_pipelines.settings import load_settings

    settings = load_master_settings(load_settings())
    name = name or f"{'+'.join(scopes)} by {os.environ.get('USER') or 'the command line'}"
    there = running_master(settings)
    if there is not None:
        made = there.post("/api/tokens", {"name": name, "scopes": list(scopes)})
    else:
        made = _make_token(settings, name, scopes)
    if as_json:
        print_json(made)
        return
    click.echo(made["token"])
    click.echo(
        f"Made for {name!r} with the scopes {', '.join(made['scopes'])}. It is not shown again.", err=True
    )


def _make_token(settings: "MasterSettings", name: str, scopes: tuple[str, ...]) -> dict[str, object]:
    from proteinx_pipelines.master import tokens
    from proteinx_pipelines.master.master import Master

    with _alone(settings):
        opened = Master.open(settings)
        try:
            return opened.database.write(lambda connection: tokens.make(connection, name, scopes))
        finally:
            opened.close()


def _migrate() -> None:
    from proteinx_pipelines.master.database.engine import engine_of
    from proteinx_pipelines.master.database.migrating import migrate
    from proteinx_pipelines.master.database.tables import REVISION
    from proteinx_pipelines.master.settings import load_master_settings
    from proteinx_pipelines.settings import load_settings

    settings = load_master_settings(load_settings())
    settings.folder.mkdir(parents=True, exist_ok=True)
    with _alone(settings):
        engine = engine_of(settings.database_url or settings.database_path)
        try:
            with engine.begin() as connection:
                before = migrate(connection)
        finally:
            engine.dispose()
    if before == REVISION:
        click.echo(f"The Master's database has revision {REVISION} already.")
    else:
        click.echo(f"The Master's database has revision {REVISION} now; it was {before or 'new'}.")


class _AskedToEnd(BaseException):
    """SIGINT or SIGTERM has come while nothing else listens for it."""


def _run() -> None:
    """Run the Master; a signal ends it in the same way at any moment, the seconds of its start too."""
    _listen()  # before the imports, which take the first of these seconds
    with contextlib.suppress(_AskedToEnd):
        _serve()
    click.echo("The Master has stopped.")


def _listen() -> None:
    """End the start of a Master at SIGINT and SIGTERM; its server has handlers of its own while it runs."""

    def end(_number: int, _frame: object) -> None:
        raise _AskedToEnd

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _serve() -> None:
    from proteinx_pipelines.master.dispatch.service import Dispatch
    from proteinx_pipelines.master.http.server import address_of, serve
    from proteinx_pipelines.master.master import Master
    from proteinx_pipelines.master.settings import DEFAULT_PORT, load_master_settings
    from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID, begin_part
    from proteinx_pipelines.node.processes.part_logging import begin_logging
    from proteinx_pipelines.node.processes.ready_parts import keep_beating
    from proteinx_pipelines.node.processes.workdir import prepare_workdir
    from proteinx_pipelines.redaction import redact_output
    from proteinx_pipelines.settings import load_settings

    is_part = SUPERVISOR_PID in os.environ
    begin_part()
    _listen()  # again: `begin_part` has set the system's own handlers
    redact_output()
    node = load_settings()
    settings = load_master_settings(node)
    begin_logging(node, PART)
    prepare_workdir(node)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(settings))
        stack.enter_context(_redis(settings, is_part=is_part))
        bound = stack.enter_context(_bind(settings))
        url = address_of(settings, bound)
        opened = Master.open(settings)
        stack.callback(opened.close)
        dispatch = Dispatch(opened)
        stack.callback(dispatch.stop)
        dispatch.start()
        if settings.port == DEFAULT_PORT and bound.getsockname()[1] != DEFAULT_PORT:
            click.echo(f"Port {DEFAULT_PORT} is taken; another one was chosen.")
        click.echo(f"The Master is ready: {url}   (stop it with Ctrl-C)")
        keep_beating(node, PART, lambda: dispatch.silence_s < STUCK_S)
        serve(opened, bound)


def _bind(settings: "MasterSettings") -> "socket.socket":
    """Take the port.

    Raises:
        NodeBusy: the port that was asked for is taken; the message names its holder.
    """
    from proteinx_pipelines.errors import NodeBusy
    from proteinx_pipelines.master.http.server import bind
    from proteinx_pipelines.node.processes.start_checks import port_taken

    try:
        return bind(settings)
    except NodeBusy as error:
        raise port_taken("PROTEINX_MASTER_PORT", settings.port, settings.host) from error


@contextlib.contextmanager
def _alone(settings: "MasterSettings") -> Iterator[None]:
    """Keep a second Master off this database.

    Raises:
        NodeBusy: one runs already; the message says which.
    """
    from proteinx_pipelines.node.processes.locks import ProcessLock

    lock = ProcessLock(settings.lock_file, "The Master")
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _redis(settings: "MasterSettings", *, is_part: bool) -> Iterator[None]:
    """The embedded server, where REDIS_URL is unset and nobody else has started it in this WORKDIR."""
    from proteinx_pipelines.node.processes.embedded_child import EmbeddedChild
    from proteinx_pipelines.node.processes.ports import read_address

    address = read_address(settings.node.paths.running("redis"))
    if is_part or settings.node.redis_url or (address is not None and address.is_served):
        yield
        return
    with EmbeddedChild(settings.node):
        yield
