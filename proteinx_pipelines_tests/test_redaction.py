"""Secrets do not leave a process in anything that it writes."""

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from proteinx_pipelines.bounds import LONGEST_TEXT, bounded
from proteinx_pipelines.redaction import (
    RedactingFormatter,
    RedactingStream,
    is_secret_variable,
    redact,
    redact_all,
    redact_and_cut,
    scrub,
)

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


SECRET_VARIABLES = (
    "REDIS_PASS", "REDIS_AUTH", "PROTEINX_SIGNING_KEY", "DAGSTER_DB_PW", "TORCH_PASSPHRASE", "ENCRYPTION_KEY",
    "SSH_KEY",
    "SIGNING_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "PGPASSWORD", "MASTER_API_KEY", "HF_TOKEN",
    "PASSWORD", "PROTEINX_TOKEN", "DB_PWD", "APP_CREDENTIALS", "LICENSE_KEYS", "SESSION_COOKIE",
)  # fmt: skip
PLAIN_VARIABLES = (
    "PATH", "HOME", "LANG", "PROTEINX_WORKDIR", "REDIS_URL", "QUEUE_NAME", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
    "TOKENIZERS_PARALLELISM", "KEYBOARD", "PASSENGERS", "MONKEY_BARS", "PWD", "OLDPWD",
)  # fmt: skip
HARD = "pa/s#s@w[0]%d &é'\"\\q"
"""A password with everything in it that somebody has to escape somewhere."""


@pytest.mark.parametrize("name", SECRET_VARIABLES)
@pytest.mark.parametrize(
    "spelled",
    [str, quote, lambda text: quote(text, safe=""), lambda text: repr(text)[1:-1], lambda text: json.dumps(text)[1:-1]],
    ids=["as it is", "percent-encoded", "percent-encoded through", "in a Python text", "in a JSON text"],
)  # fmt: skip
def test_the_value_of_a_secret_variable_is_hidden_in_every_spelling(
    name: str, spelled: Callable[[str], str]
) -> None:
    for secret in (CANARY, HARD):
        text = f"<{spelled(secret)}>"
        assert redact(text, {name: secret}) == "<***>"
        assert redact(text, {name: quote(secret, safe="")}) == "<***>", "set percent-encoded, written decoded"


@pytest.mark.parametrize("name", PLAIN_VARIABLES)
def test_the_value_of_another_variable_stays(name: str) -> None:
    assert not is_secret_variable(name)
    assert redact("found ordinary-value here", {name: "ordinary-value"}) == "found ordinary-value here"


@pytest.mark.parametrize(
    "text",
    [
        f"password='{CANARY}'", f'password="{CANARY} and more"', f"password = {CANARY}", f"PASSWORD={CANARY};x=1",
        f"{{'password': '{CANARY}'}}", f'{{"api_key": "{CANARY}"}}', f'{{\\"token\\": \\"{CANARY}\\"}}',
        f"Authorization: Bearer {CANARY}", f"authorization: basic {CANARY}", f"Bearer {CANARY}",
        f"access_token={CANARY}&x=1",
        f"https://h/f?access_token={CANARY}", f"X-Api-Key: {CANARY}", f"--password {CANARY}", f"--requirepass {CANARY}",
        f"REDIS_PASS={CANARY}", f"masterPassword: {CANARY}", f"client_secret_v2={CANARY}", f"db_pw={CANARY}",
        f"ssh-key={CANARY}", f"host=h password={CANARY} user=u", f"password='{CANARY}", f"redis://u:{CANARY}@h",
        f"redis://:a@{CANARY}@h:6379/0", f"redis://:a/{CANARY}@h", f"redis://:a#{CANARY}@h", f"redis://:a[{CANARY}@h",
        f"Cookie: proteinx={CANARY}; a={CANARY}", f"{{'set-cookie': 'a={CANARY}'}}", f"https://{CANARY}@host/x.git",
        f"git+https://{CANARY}@host", f"https://b/x?X-Amz-Signature={CANARY}&y=1", f"https://b/x?sv=1&sig={CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"redis://:a:{CANARY}@h", f"redis+sentinel://u:{CANARY}@a,b/0", f"redis://u:x@h,redis://u:{CANARY}@h",
    ],
)  # fmt: skip
def test_what_stands_where_a_secret_stands_is_hidden_though_nothing_knows_it(text: str) -> None:
    assert CANARY not in redact(text, {})
    assert "***" in redact(text, {})


@pytest.mark.parametrize(
    ("begin", "length"),
    [("px_", 43), ("whsec_", 32), ("ghp_", 36), ("github_pat_", 40), ("glpat-", 20), ("hf_", 34), ("xoxb-", 40),
     ("AKIA", 16)],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_known_by_its_beginning_is_hidden_wherever_it_stands(begin: str, length: int) -> None:
    """A Master's token stood in the words of whoever refused it."""
    secret = begin + ("A1B2C3D4E5" * 5)[:length]
    assert redact(f"refused {secret}, again", {}) == "refused ***, again"
    assert redact(f"x{secret} {begin}esm2-650M-01", {}) == f"x{secret} {begin}esm2-650M-01"


def test_the_tokens_of_the_master_are_hidden() -> None:
    from proteinx_pipelines.master.tokens import new_token

    assert redact(f"<{new_token()}>", {}) == "<***>"


@pytest.mark.parametrize("secret", ["abc", "a-1", "s3cr"])
def test_a_short_secret_is_hidden_where_it_stands_by_itself(secret: str) -> None:
    assert redact(f"AUTH {secret} failed, {secret}", {"REDIS_PASS": secret}) == "AUTH *** failed, ***"
    assert redact(f"x{secret}x", {"REDIS_PASS": secret}) == f"x{secret}x", "or ordinary words would be hidden"


@pytest.mark.parametrize(
    "text",
    [
        "embedding.tokens_per_batch: found -1, expected a whole number of at least 1", "run_key=a/1/2", "stage_key: 5f",
        "`split.seed`: found 7", "bypass: no", "compass=north", "message_key sha256:0a", "a monkey: 5", "keys: a, b",
        "http://127.0.0.1:3000/runs", "file:///data/a:b@c", "https://host/a@b", "ssh://git@host/x",
        "a signature: f(x)", "hf_hub is not installed", "no cookies here", "s3://user@bucket/x",
        "user@host:/path", "12:30:01 INFO x: y=1",
    ],
)  # fmt: skip
def test_ordinary_words_are_not_taken_for_secrets(text: str) -> None:
    assert redact(text, {}) == text


PIECES = (
    "A", "a.", "a-", "://", "://a:", "password=", "password='", 'password="', "token", "pass_", "--password ",
    "Bearer ", "px_", "?sig=", "cookie:", "-----BEGIN PRIVATE KEY-----", "https://a@", "-", "@",
    ":", "=", "api_key_a_", '\\"', "a@b:", "redis://", "password='\\",
)  # fmt: skip


def _seconds(hide: Callable[[str], object], piece: str, length: int) -> float:
    text = (piece * (length // len(piece) + 1))[:length]
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        hide(text)
        best = min(best, time.process_time() - began)
    return best


def _growth(hide: Callable[[str], object], piece: str, length: int) -> float:
    """How many times as long eight times the length takes; 8 when linear, 64 when quadratic."""
    return _seconds(hide, piece, 8 * length) / max(_seconds(hide, piece, length), 2e-4)


@pytest.mark.parametrize("piece", PIECES)
def test_hiding_takes_time_in_proportion_to_the_length(piece: str) -> None:
    assert _growth(lambda text: redact(text, {"A_KEY": "zzzzzzzzz"}), piece, 20_000) < 32


def test_the_pattern_of_before_grew_with_the_square() -> None:
    """Guard off: one message of 900,000 letters kept the run host busy for hours."""
    before = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\"]*:)[^\s/@'\"]+(?=@)")
    assert _growth(lambda text: before.sub("***", text), "A", 1_000) > 32


def test_what_is_logged_is_cut() -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", ("A" * 5_000_000,), None)
    assert len(RedactingFormatter().format(record)) < LONGEST_TEXT + 100
    inner = io.StringIO()
    RedactingStream(inner).write("A" * 5_000_000)
    assert len(inner.getvalue()) < LONGEST_TEXT + 100
    error = ValueError("A" * 5_000_000)
    scrub(error)
    assert len(str(error)) < LONGEST_TEXT + 100


SECRET = "s3cr3t/" * 30
"""A secret that is longer than what a cut moves to the end of a word."""
LOOKS = {
    "a variable's value": (f"<{SECRET}>", {"LAB_API_KEY": SECRET}),
    "after a name": (f"password='{SECRET} {SECRET}'", {}),
    "in an address": (f"redis://user:{SECRET}@host", {}),
    "a private key": (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END", {}),
}


@pytest.mark.parametrize("whole", [30_000, 400_000], ids=["short enough to be searched", "too long for it"])
@pytest.mark.parametrize("look", LOOKS)
def test_no_part_of_a_secret_that_lies_across_the_cut_is_shown(look: str, whole: int) -> None:
    """Half of a password stood in a trace of 30,000 characters: the text had been cut before it was searched."""
    found, environment = LOOKS[look]
    most = 2_000
    for cut in (most // 4, whole - most + most // 4):
        for before in range(1, len(found), 41):
            text = ("x" * (cut - before) + found).ljust(whole, "y")
            shown = redact_and_cut(text, most, environment)
            assert "cr3" not in shown, (cut, before)
            assert "left out" in shown
            assert len(shown) < most + 100


def test_cut_first_half_of_it_would_be_shown() -> None:
    """Guard off: the text as it was before, cut and then searched."""
    text = "x" * (LONGEST_TEXT // 4 - 100) + SECRET + "y" * 30_000
    assert SECRET[:100] in redact(bounded(text), {"LAB_API_KEY": SECRET})


def test_an_error_that_is_cut_before_anybody_searches_it_is_cut_between_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    for before in range(1, len(CANARY) + 1):
        text = "x " * ((LONGEST_TEXT // 4 - before) // 2) + f"{CANARY} " * 10_000
        assert CANARY[:4] not in redact_and_cut(str(ValueError(bounded(text)))), before


def test_a_text_without_end_is_hidden_and_cut_in_time_that_does_not_grow() -> None:
    assert (
        _seconds(redact_and_cut, "redis://a", 8_000_000)
        < 4 * _seconds(redact_and_cut, "redis://a", 300_000) + 0.1
    )


def test_a_record_is_letters_and_forges_no_other() -> None:
    text = "bad\x1b[2J\n2026-03-01 12:00:00,000 INFO train: all is well"
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", (text,), None)
    first, second = RedactingFormatter("%(asctime)s %(levelname)s %(message)s").format(record).split("\n")
    assert "\x1b" not in first
    assert second.startswith("  2026")


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
        "import logging, sys; from proteinx_pipelines.cli import node_commands; node_commands._begin('worker');"
        "print('out', __import__('os').environ['REDIS_URL']); logging.basicConfig(); log = logging.getLogger('celery');"
        "log.error('broker %s', __import__('os').environ['REDIS_URL']); raise SystemExit(0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    logged = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.log"))
    assert "broker redis://u:***@" in ended.stderr + logged
    assert CANARY not in ended.stdout + ended.stderr + logged
