"""A whole node whose Redis requires TLS and an account with only the rights given in `docs/operations.md`.

This is the strong form of the two accounts; faults of such a server are those of any other, in `test_redis_faults`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines_tests.chaos.campaign import SOURCE
from proteinx_pipelines_tests.chaos.redis_campaign import RemoteNode
from proteinx_pipelines_tests.chaos.redis_server import RedisServer
from proteinx_pipelines_tests.chaos.test_lost_workers import wait_for
from proteinx_pipelines_tests.chaos.tls import TlsProxy, make_authority
from proteinx_pipelines_tests.conftest import REPOSITORY
from proteinx_pipelines_tests.story.conftest import DEMO

pytestmark = pytest.mark.story
PASSWORD = "s3cret-of-the-test"  # of a server that lives for this test
FLAGS = {"data": {"source": SOURCE, "limit": 300}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 0}}


def documented_accounts() -> list[list[str]]:
    """The `ACL SETUSER` commands of the manual, each as its words, with this test's password."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.findall(r"^ +(ACL SETUSER .+(?:\n +[&~+%-].*)*)", text, flags=re.MULTILINE)
    return [command.replace(">PASSWORD", f">{PASSWORD}").split() for command in found]


@dataclass
class Guarded:
    """A server with TLS in front of it and accounts on it; its own port is the administrator's."""

    server: RedisServer
    proxy: TlsProxy
    certificates: Path

    def url(self, user: str, authority: Path | None = None) -> str:
        trusted = authority or self.certificates / "ca.pem"
        return (
            f"rediss://{user}:{PASSWORD}@127.0.0.1:{self.proxy.port}/0"
            f"?ssl_cert_reqs=required&ssl_ca_certs={trusted}"
        )

    @property
    def administrator(self) -> redis.Redis:
        return redis.Redis(port=self.server.port, username="admin", password=PASSWORD)

    def refused(self) -> list[str]:
        """Commands that accounts sent and may not use."""
        log = self.administrator.acl_log(100)
        return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tls")
    certificates = make_authority(folder / "certificates").parent
    server = RedisServer(folder / "redis")
    server.start()
    plain = server.client
    for command in documented_accounts():
        plain.execute_command(*command)
    plain.execute_command("ACL", "SETUSER", "admin", "on", f">{PASSWORD}", "+@all", "~*", "&*")
    plain.execute_command("ACL", "SETUSER", "default", "off")
    proxy = TlsProxy(certificates, server.port)
    yield Guarded(server, proxy, certificates)
    proxy.close()
    server.kill()


@pytest.fixture(scope="module")
def node(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteNode]:
    workdir = tmp_path_factory.mktemp("node")
    import_file(workdir / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    environment = {"REDIS_URL": guarded.url("compute"), "PROTEINX_NODE_NAME": "n1", "OMP_NUM_THREADS": "1"}
    found = RemoteNode(workdir, environment)
    found.start()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


def test_the_manual_has_an_account_for_the_node_and_one_for_the_master() -> None:
    assert [command[2] for command in documented_accounts()] == ["compute", "master"]


def test_a_message_becomes_a_result_through_tls_with_two_small_accounts(
    guarded: Guarded, node: RemoteNode
) -> None:
    master = redis.Redis.from_url(guarded.url("master"), socket_timeout=150)
    events = master.pubsub(ignore_subscribe_messages=True)
    events.subscribe("experiments:events")
    master.lpush("experiments", json.dumps({"experiment_id": "secure", "flags": FLAGS}))
    found = master.brpop(["experiments:results"], timeout=120)
    assert found is not None
    result = json.loads(found[1])
    assert (result["status"], result["error"]) == ("SUCCEEDED", None)
    wait_for(lambda: master.hget("experiments:status:secure", "state") == b"SUCCEEDED", 10)
    wait_for(lambda: master.exists("nodes/n1/heartbeat"))  # a beat of a busy machine may be late
    assert json.loads(master.get("nodes/n1/heartbeat") or b"{}")["node"] == "n1"
    told = next(message for _ in range(100) if (message := events.get_message(timeout=1)) is not None)
    assert json.loads(told["data"])["experiment_id"] == "secure"
    master.lpush("experiments:cancel", "secure")
    wait_for(lambda: not guarded.administrator.llen("experiments:cancel"), 10)
    assert guarded.refused() == []


def test_a_clean_stop_needs_no_more_rights_and_no_password_is_in_a_log(
    guarded: Guarded, node: RemoteNode
) -> None:
    node.stop()
    assert guarded.administrator.exists("nodes/n1/heartbeat") == 0
    assert guarded.refused() == []
    for path in [*(node.workdir / "logs").iterdir(), node.log]:
        assert PASSWORD not in path.read_text(encoding="utf-8", errors="replace"), path.name


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("compute", ("FLUSHALL",)), ("compute", ("CONFIG", "GET", "*")), ("compute", ("GET", "of-others")),
        ("compute", ("KEYS", "*")), ("master", ("RPOP", "experiments")), ("master", ("GET", "proteinx:n1:x")),
        ("master", ("EVAL", "return 1", "0")), ("master", ("FLUSHDB",)),
    ],
)  # fmt: skip
def test_neither_account_may_do_more(guarded: Guarded, user: str, command: tuple[str, ...]) -> None:
    with redis.Redis.from_url(guarded.url(user)) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


def test_a_server_with_a_certificate_of_somebody_else_is_not_talked_to(
    guarded: Guarded, tmp_path: Path
) -> None:
    """The twin: TLS that checks nothing would go through here."""
    stranger = make_authority(tmp_path / "stranger")
    queue = RedisQueue(connect(guarded.url("compute", stranger)), "experiments", "n1")
    with pytest.raises(QueueUnavailable, match="certificate verify failed"):
        queue.waiting()
    unchecked = guarded.url("compute").replace("required", "none")
    assert RedisQueue(connect(unchecked), "experiments", "n1").waiting() == 0


def test_without_tls_nobody_is_answered(guarded: Guarded) -> None:
    plain = connect(f"redis://compute:{PASSWORD}@127.0.0.1:{guarded.proxy.port}/0")
    with pytest.raises(QueueUnavailable):
        RedisQueue(plain, "experiments", "n1").waiting()
