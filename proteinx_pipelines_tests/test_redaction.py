"""Secrets do not leave a process in anything that it writes."""

import io
import logging
import subprocess
import sys

import pytest

from proteinx_pipelines.redaction import RedactingFormatter, RedactingStream, redact, redact_all, scrub

CANARY = "canary-3f9c"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://user:{CANARY}@host:6379/0 does not answer",
        f"rediss://:{CANARY}@host",
        f"https://host/file?x=1&token={CANARY}&y=2",
        f"Authorization: Bearer {CANARY}",
        f"postgresql+psycopg://u:{CANARY}@h/d and redis://u:{CANARY}@h",
    ],
)
def test_a_secret_is_hidden(text: str) -> None:
    hidden = redact(text, {"MASTER_API_KEY": CANARY})
    assert CANARY not in hidden
    assert "***" in hidden


def test_a_password_inside_a_url_is_hidden_where_it_stands_alone() -> None:
    assert redact(f"AUTH {CANARY} failed", {"REDIS_URL": f"redis://u:{CANARY}@h"}) == "AUTH *** failed"


@pytest.mark.parametrize("text", ["http://host:6379/path", "A24C:D40G@x", "train.lr=0.001", "time 12:30:01"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text, {"HOME": "/root", "LANG": "C"}) == text


def test_documents_are_redacted_through_and_through() -> None:
    document = {"a": [f"redis://u:{CANARY}@h"], "api_key": CANARY, "n": 1, "none": None}
    assert redact_all(document, {}) == {"a": ["redis://u:***@h"], "api_key": "***", "n": 1, "none": None}


def test_the_filter_is_what_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off: the same record through a plain formatter shows the secret, message and trace."""
    monkeypatch.setenv("REDIS_URL", f"redis://u:{CANARY}@h")
    try:
        raise ValueError(f"bad password {CANARY}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "no %s", (CANARY,), sys.exc_info())
    assert CANARY not in RedactingFormatter().format(record)
    record.exc_text = None
    assert logging.Formatter().format(record).count(CANARY) == 2


def test_an_exception_is_scrubbed_with_its_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_TOKEN", CANARY)
    cause = OSError(5, f"reading {CANARY}")
    error = ValueError(f"failed with {CANARY}")
    error.__cause__ = cause
    scrub(error)
    assert CANARY not in str(error) + str(cause)
    assert str(error) == "failed with ***"


def test_a_stream_hides_and_stays_a_stream() -> None:
    inner = io.StringIO()
    print(f"redis://u:{CANARY}@h", file=RedactingStream(inner))
    assert inner.getvalue() == "redis://u:***@h\n"


def test_a_part_of_the_node_shows_no_secret_when_it_cannot_start(tmp_path) -> None:
    """A canary in the environment, a Redis that is not there: what the part prints and logs."""
    environment = {
        "PATH": "/usr/bin:/bin", "PROTEINX_WORKDIR": str(tmp_path), "MASTER_TOKEN": CANARY,
        "REDIS_URL": f"redis://u:{CANARY}@127.0.0.1:1/0", "HOME": str(tmp_path),
    }  # fmt: skip
    code = (
        "import logging, sys; from proteinx_pipelines.cli import parts; parts._begin();"
        "print('out', __import__('os').environ['REDIS_URL']); logging.basicConfig(); log = logging.getLogger('celery');"
        "log.error('broker %s', __import__('os').environ['REDIS_URL']); raise SystemExit(0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "broker redis://u:***@" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr
