"""`proteinx doctor`: what is wrong is named with what to do, and the exit code says whether anything is."""

import json

import psutil
import pytest

from proteinx_pipelines.node.health import doctor as checkup
from proteinx_pipelines.node.health import parts as parts_checkup
from proteinx_pipelines.node.health import versions as version_checkup
from proteinx_pipelines.node.processes.births import birth
from proteinx_pipelines.queue.queue import connect


def findings(proteinx, expect: int = 0) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in json.loads(proteinx("doctor", "--json", expect=expect).output):
        found.setdefault(finding["topic"], []).append((finding["level"], finding["text"]))
    return found


@pytest.fixture
def workdir(settings):
    settings.workdir.mkdir()
    return settings.workdir


def test_a_prepared_node_has_nothing_wrong(proteinx, workdir, settings) -> None:
    connect(settings.redis_url).config_set("appendonly", "yes")
    found = findings(proteinx)
    assert found["redis"][0][0] == "ok"
    assert found["clock"][0][0] == "ok"
    assert found["disk"][0][0] == "ok"
    assert found["node"] == [("warning", "No node runs here; messages wait. Start it with `proteinx up`.")]


def test_a_workdir_that_is_not_there_is_wrong(proteinx, settings) -> None:
    ((level, text),) = findings(proteinx, expect=1)["workdir"]
    assert (level, "proteinx init" in text) == ("wrong", True)


def test_a_redis_that_does_not_answer_is_wrong_and_its_password_is_not_shown(
    proteinx, workdir, monkeypatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://node:canary-5fd1@127.0.0.1:1/0")
    result = proteinx("doctor", expect=1)
    assert "did not answer" in result.output
    assert "canary-5fd1" not in result.output


def test_a_server_that_throws_messages_away_is_wrong(proteinx, workdir, settings) -> None:
    client = connect(settings.redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert any(
            level == "wrong" and "noeviction" in text for level, text in findings(proteinx, expect=1)["redis"]
        )
    finally:
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("room", "level", "words"), [(0.9, "wrong", "The server is full"), (1.05, "warning", "nearly full")]
)
def test_a_server_without_room_is_said_to_be_full(proteinx, workdir, settings, room, level, words) -> None:
    client = connect(settings.redis_url)
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * room))
    try:
        found = findings(proteinx, expect=int(level == "wrong"))["redis"]
    finally:
        client.config_set("maxmemory", "0")
    assert any(given == level and words in text and "maxmemory" in text for given, text in found)


def test_a_full_disk_is_wrong(proteinx, workdir, settings, monkeypatch) -> None:
    monkeypatch.setattr(checkup, "FULL_BYTES", 2**62)
    assert any(
        level == "wrong" and "Make room" in text for level, text in findings(proteinx, expect=1)["disk"]
    )


def test_an_account_that_may_not_ask_for_more_is_not_wrong(proteinx, workdir, settings, monkeypatch) -> None:
    admin = connect(settings.redis_url)
    admin.acl_setuser(
        "node", enabled=True, passwords=["+pw-1234567"], commands=["+@all", "-@dangerous"], keys=["*"]
    )
    try:
        monkeypatch.setenv("REDIS_URL", settings.redis_url.replace("redis://", "redis://node:pw-1234567@"))
        assert [level for level, _ in findings(proteinx)["redis"]] == ["ok", "ok"]
    finally:
        admin.acl_deluser("node")


def test_an_old_version_is_wrong_and_says_what_happens_with_it(proteinx, workdir, monkeypatch) -> None:
    monkeypatch.setitem(
        version_checkup.FLOORS, "lightning", ("99.0", "a checkpoint's hyperparameters could run code")
    )
    assert any("install 99.0 or newer" in text for _, text in findings(proteinx, expect=1)["versions"])


def test_a_planted_link_is_wrong(proteinx, workdir, settings, tmp_path) -> None:
    settings.experiments_dir.mkdir()
    (settings.experiments_dir / "gb1-001").symlink_to(tmp_path)
    assert any(
        "symbolic link" in text for level, text in findings(proteinx, expect=1)["workdir"] if level == "wrong"
    )


def test_a_damaged_database_is_wrong(proteinx, workdir, settings) -> None:
    settings.state_path.write_bytes(b"SQLite format 3\x00" + b"\x01" * 5000)
    assert any(
        level == "wrong" and "damaged" in text for level, text in findings(proteinx, expect=1)["databases"]
    )


def test_a_stopped_worker_is_wrong(proteinx, workdir, settings, monkeypatch) -> None:
    settings.run_dir.mkdir()
    me = psutil.Process()
    for part in ("worker", "host", "sensor"):
        (settings.run_dir / f"{part}.json").write_text(json.dumps({"pid": me.pid, "started": birth(me.pid)}))
    monkeypatch.setattr(parts_checkup, "is_frozen", lambda pid: True)
    assert any("kill -CONT" in text for _, text in findings(proteinx, expect=1)["node"])


def test_a_node_that_starts_with_a_dangerous_version_says_so(proteinx, settings, monkeypatch) -> None:
    monkeypatch.setitem(
        version_checkup.FLOORS, "torch", ("99.0", "loading a checkpoint could run code in it")
    )
    monkeypatch.setattr("proteinx_pipelines.node.processes.supervisor.Supervisor.run", lambda *_: None)
    assert "install 99.0 or newer" in proteinx("up", "--no-web").output
