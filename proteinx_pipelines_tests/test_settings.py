"""Settings that cannot be used: one sentence that names the setting, and nothing that may be a secret."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import parse_url

from proteinx_pipelines.errors import QueueUnavailable, SettingsError
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.redis_address import address_problem
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.store_address import name_inside

SECRET = "canary-1a2b"
UNREADABLE = (
    f"redis://:a#{SECRET}@host:6379/0", f"redis://:a/{SECRET}@host:6379/0", f"redis://:a[{SECRET}@host:6379/0",
    f"redis://:a]{SECRET}@host", f"redis://:a?{SECRET}@host", f"redis://:{SECRET}/b@host", f":{SECRET}@host:6379",
    f"user:{SECRET}@host", f"redis//:{SECRET}@host", f"redis:/:{SECRET}@host", f"{SECRET}@host:6379/0", SECRET,
    f"sentinel://:{SECRET}@a:26379,b:26379/master", f"redis+sentinel://:{SECRET}@a,b", f"redis://:{SECRET}@host/zero",
    f"redis://:{SECRET}@host/0/1", f"redis://:{SECRET}@host:port", f"redis://:{SECRET}@host:99999",
    f"redis://:{SECRET}@", f"redis://:{SECRET} b@host", f"redis://:{SECRET}\n@host", f"amqp://:{SECRET}@host",
    f"http://:{SECRET}@host", f"redis://:{SECRET}@host?db=x", f"redis://:{SECRET}@a,b", f"redis://:{SECRET}@[::1",
    f"redis://:{SECRET}@[::1]6379", f"redis://h:{SECRET}", f"redis://{SECRET}:x", f"redis://h/{SECRET}",
    f"unix://{SECRET}", f"redis://h#{SECRET}",
)  # fmt: skip
READABLE = (
    "redis://host", "redis://host:6379/0", "redis://:p@host", "redis://u:p%2F%23@host:6379/15", "rediss://host/",
    "redis://127.0.0.1:1/0", "redis://[::1]:6379/0", "unix:///run/redis.sock", "redis://u:p:q@host:1",
    "redis://u:p@q@host:1/2", "redis://host?db=3", "rediss://h?ssl_cert_reqs=required", "redis://h:6379/0?db=1",
)  # fmt: skip


@pytest.mark.parametrize("variable", ["REDIS_URL", "PROTEINX_BROKER_URL"])
@pytest.mark.parametrize("address", UNREADABLE)
def test_an_address_that_cannot_be_read_is_named_and_not_shown(
    tmp_path: Path, variable: str, address: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: address}, tmp_path)
    said = str(caught.value)
    assert said.startswith(f"`{variable}` cannot be read: ")
    assert "\n" not in said
    assert SECRET not in said
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_library_says_a_part_of_the_password() -> None:
    """Guard off: half of a password in a trace, in `doctor`, three logs and Dagster's database."""
    with pytest.raises(ValueError, match=f"a{SECRET}"):
        parse_url(f"redis://:a{SECRET}/b@host:6379/0").get("port")


@pytest.mark.parametrize("address", READABLE)
def test_an_address_that_can_be_read_is_taken(tmp_path: Path, address: str) -> None:
    assert load_settings({"REDIS_URL": address}, tmp_path).redis_url == address
    parse_url(address)


@given(password=st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=12))
def test_what_is_taken_is_what_the_library_reads(password: str) -> None:
    """Whatever the password: refused without a word of it, or read by redis-py as it was meant."""
    address = f"redis://user:{password}@host.example:6379/3"
    problem = address_problem(address)
    if problem is not None:
        return
    found = parse_url(address)
    assert (found["host"], found["port"], found["db"], found["username"]) == ("host.example", 6379, 3, "user")


def test_an_option_that_redis_does_not_take_is_not_shown() -> None:
    with pytest.raises(QueueUnavailable) as caught:
        connect(f"redis://u:{SECRET}@host?socket_timeout={SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["redis_url", "broker_url"])
@pytest.mark.parametrize("address", [f"redis://:{SECRET}@host", f"redis://host?password={SECRET}"])
def test_a_password_in_the_file_is_refused_and_not_shown(tmp_path: Path, name: str, address: str) -> None:
    (tmp_path / "proteinx.toml").write_text(f'{name} = "{address}"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="contains a password") as caught:
        load_settings({}, tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        (f'redis_url = ["redis://:{SECRET}@host"]', "redis_url"), (f'web_port = "redis://:{SECRET}@h"', "web_port"),
        (f'queue_side = "redis://:{SECRET}@h"', "queue_side"), (f'data_roots = {{a = "{SECRET}"}}', "data_roots"),
        ("max_timeout_s = -1", "max_timeout_s"), ('max_memory_gb = "much"', "max_memory_gb"),
        ("max_data_gb = 0", "max_data_gb"), ("max_timeout_s = inf", "max_timeout_s"), ("max_memory_gb = true", "max_"),
    ],
)  # fmt: skip
def test_another_setting_that_cannot_be_used_is_named(tmp_path: Path, line: str, setting: str) -> None:
    (tmp_path / "proteinx.toml").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=setting) as caught:
        load_settings({}, tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("command", [["doctor"], ["list"], ["up"], ["host"], ["code-server"]])
def test_a_command_says_one_sentence_and_ends_with_1(tmp_path: Path, command: list[str]) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PROTEINX_WORKDIR": str(tmp_path / "w"),
                   "REDIS_URL": f"redis://:half/{SECRET}@host:6379/0"}  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", *command],
        env=environment, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "`REDIS_URL` cannot be read" in line
    everything = (
        ended.stdout
        + ended.stderr
        + "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in tmp_path.rglob("*")
            if path.is_file()
        )
    )
    assert SECRET not in everything
    assert "half" not in everything


def test_the_new_limits_are_read(tmp_path: Path) -> None:
    found = load_settings({"PROTEINX_MAX_TIMEOUT_S": "60", "PROTEINX_MAX_MEMORY_GB": "1.5"}, tmp_path)
    assert (found.max_timeout_s, found.max_memory_gb, found.max_data_gb) == (60.0, 1.5, 20.0)


def test_the_file_of_a_folder_above_is_found_and_named(tmp_path: Path) -> None:
    """In a folder of the project another, empty WORKDIR was made."""
    inner = tmp_path / "project" / "notebooks" / "first"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "proteinx.toml").write_text('workdir = "w"\ndata_roots = ["data"]\n')
    found = load_settings({}, inner)
    assert found.workdir == (tmp_path / "project" / "w").resolve()
    assert found.data_roots == ((tmp_path / "project" / "data").resolve(),)
    assert found.file == tmp_path / "project" / "proteinx.toml"


def test_the_nearest_file_counts_and_the_environment_starts_at_the_current_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for folder in (tmp_path, inner):
        (folder / "proteinx.toml").write_text('workdir = "w"\n')
    assert load_settings({}, inner).workdir == (inner / "w").resolve()
    (inner / "proteinx.toml").unlink()
    named = load_settings({"PROTEINX_WORKDIR": "x"}, inner)
    assert named.workdir == (inner / "x").resolve()
    assert named.file == tmp_path / "proteinx.toml"


def test_without_a_file_the_default_lies_in_the_current_folder(tmp_path: Path) -> None:
    found = load_settings({}, tmp_path)
    assert (found.workdir, found.file) == ((tmp_path / "workdir_compute").resolve(), None)


@pytest.mark.parametrize(
    "address",
    [
        f"s3://key:{SECRET}@bucket/prefix", f"s3://{SECRET}@bucket", f"s3:///{SECRET}", f"http://{SECRET}", SECRET,
        f"s3://bucket/a?token={SECRET}", f"file://host/{SECRET}", "file:///", f"s3://bucket/../{SECRET}",
        f"s3://[{SECRET}", f"/{SECRET}",
    ],
)  # fmt: skip
def test_an_address_that_is_none_of_a_store_is_refused_and_not_shown(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="`store` in PROTEINX_STORE") as raised:
        load_settings({"PROTEINX_STORE": address}, tmp_path)
    assert SECRET not in str(raised.value)
    assert "s3://bucket/prefix" in str(raised.value) or "environment only" in str(raised.value)


@pytest.mark.parametrize(
    ("store", "reference", "name"),
    [
        ("s3://bucket/prefix", "s3://bucket/prefix/a/b.csv", "a/b.csv"),
        ("s3://bucket/prefix", "s3://bucket/prefix-other/a", None),
        ("s3://bucket/prefix", "s3://bucket/prefix", None),
        ("s3://bucket", "s3://bucket/a", "a"),
        ("s3://bucket", "s3://bucket2/a", None),
        ("file:///shared", "file:///shared/a", "a"),
        ("file:///shared", "file://localhost/shared/a", "a"),
        ("file:///shared", "file://other/shared/a", None),
        ("file:///shared", "/shared/a", None),
        ("memory://", "memory://a", "a"),
    ],
)
def test_the_stores_own_addresses_are_inside_it(store: str, reference: str, name: str | None) -> None:
    settings = load_settings({"PROTEINX_STORE": store}, Path("/tmp"))  # nothing is written
    assert settings.store is not None
    assert name_inside(settings.store, reference) == name
