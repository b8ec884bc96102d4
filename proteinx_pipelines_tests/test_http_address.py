"""The address of a Master, in settings and in every command: read as the library reads it, or refused unseen."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.client import Client
from proteinx_pipelines.client.http_link import unavailable
from proteinx_pipelines.errors import InputError, SettingsError
from proteinx_pipelines.http_address import http_problem, shown
from proteinx_pipelines.settings import load_settings

SECRET = "canary-5d7e"
UNREADABLE = (
    SECRET, f"{SECRET}@host", f"ftp://u:{SECRET}@host", f"http://host:{SECRET}", f"http://u:a/{SECRET}@host",
    f"http://u:a#{SECRET}@host", f"http://u:a?{SECRET}@host", f"http://u:a@host:{SECRET}", f"http:///{SECRET}",
    f"http://[{SECRET}", f"http://[::1]{SECRET}", f"http://u:{SECRET}@", f"http://u:{SECRET} b@host",
    f"https://{SECRET}:x", f"http:/{SECRET}", f"http://host:99999/{SECRET}", f"http://u:{SECRET}@host:-1",
)  # fmt: skip
READABLE = (
    "http://127.0.0.1:8000", "https://master.example", "http://[::1]:8000/", "https://host/proteinx", "HTTP://host:1/",
    "http://user:p%2F@host:80", "http://gpu_07:8000",
)  # fmt: skip


@pytest.mark.parametrize("address", UNREADABLE)
def test_an_address_that_cannot_be_read_is_not_shown(tmp_path: Path, address: str) -> None:
    """`--master http://h:PASSWORD` ended in a trace with the password, `ftp://u:PASSWORD@h` was repeated in words."""
    with pytest.raises(InputError, match="no address of a Master") as asked:
        Client(address)
    with pytest.raises(SettingsError, match="`master` in PROTEINX_MASTER") as read:
        load_settings({"PROTEINX_MASTER": address}, tmp_path)
    for caught in (asked, read):
        assert SECRET not in str(caught.value)
        assert caught.value.__context__ is None


def test_the_library_says_a_part_of_it() -> None:
    """Guard off: the words of the HTTP package for an address that it cannot read."""
    with pytest.raises(httpx2.InvalidURL, match=SECRET):
        httpx2.Client(base_url=f"http://host:{SECRET}")


@pytest.mark.parametrize("address", READABLE)
def test_an_address_that_can_be_read_is_taken(address: str) -> None:
    assert http_problem(address) is None
    assert Client(address)


LETTERS = st.text(st.sampled_from("abAB01.-_:[]@/#?%\u00e9 x"), max_size=6)


@given(
    LETTERS | st.text(max_size=8), LETTERS | st.text(max_size=8), st.sampled_from(["", ":1", "/", ":8000/a"])
)
def test_what_is_taken_is_what_the_library_reads(password: str, host: str, rest: str) -> None:
    """Whatever the password and the host: refused without a word of it, or read by the HTTP package."""
    address = f"http://u:{password}@{host}{rest}"
    if http_problem(address) is None:
        assert httpx2.URL(address).host


@pytest.mark.parametrize("login", [f"u:{SECRET}@", f"{SECRET}@", f"u:a@{SECRET}@", ""])
def test_an_address_is_shown_without_user_and_password(login: str) -> None:
    """A token may stand in the place of the user."""
    assert shown(f"https://{login}host:81/a?token={SECRET}#{SECRET}") == "https://host:81/a"
    assert SECRET not in str(unavailable(f"https://{login}host", OSError("away")))


def test_a_command_says_one_sentence_and_ends_with_1(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", "list", "--master", f"http://host:{SECRET}"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "its port is not a number" in line
    assert SECRET not in ended.stdout + ended.stderr


def test_a_value_is_hidden_before_it_is_cut(tmp_path: Path) -> None:
    """Cut first, the `@` was gone by which a password is known."""
    address = f"redis://u:{SECRET}{'x' * 100}@host"
    with pytest.raises(SettingsError, match="web_port") as caught:
        load_settings({"PROTEINX_WEB_PORT": address}, tmp_path)
    assert SECRET not in str(caught.value)


def test_the_store_is_not_shown_either(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PROTEINX_STORE") as caught:
        load_settings({"PROTEINX_STORE": f"{SECRET}:key"}, tmp_path)
    assert SECRET not in str(caught.value)
