"""PROTEINX_MASTER_DATABASE_URL: refused in a sentence that holds nothing of a password; a server that is away, too."""

import socket

import pytest
from sqlalchemy import make_url

from proteinx_pipelines.master.database.engine import MasterStateError, for_programs, open_database

SECRET = "canary-0c4d"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://u:x@y:{SECRET}@host/db", f"postgresql://u:x@host:{SECRET}/db", SECRET, f"mysql://u:{SECRET}@h/d",
        f"postgresql://u:a@{SECRET}@host/db", f"postgres//u:{SECRET}@h/d", f"redis://:{SECRET}@h",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_shown(address: str) -> None:
    """A password with an `@` and a `:` stood in a trace of `proteinx master`."""
    with pytest.raises(MasterStateError, match="is no PostgreSQL address") as caught:
        open_database(address)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_library_says_a_part_of_it() -> None:
    """Guard off."""
    with pytest.raises(ValueError, match=SECRET):
        make_url(f"postgresql://u:x@y:{SECRET}@host/db")


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    """It ended in a trace of sixty lines."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MasterStateError, match=rf"127\.0\.0\.1:{port}\) cannot be used") as caught:
        open_database(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", [f"postgresql+psycopg://u:{SECRET}@h:5433/d?sslmode=require",
                                     f"postgres://u@h:5433/d?sslmode=require&password={SECRET}"])  # fmt: skip
def test_programs_get_the_password_where_no_other_user_reads_it(address: str) -> None:
    """`pg_dump --dbname postgresql://u:PASSWORD@h` stands in the list of processes as long as a backup takes."""
    assert for_programs(address) == ("postgresql://u@h:5433/d?sslmode=require", {"PGPASSWORD": SECRET})
    assert for_programs("postgresql://u@h/d") == ("postgresql://u@h/d", {})
