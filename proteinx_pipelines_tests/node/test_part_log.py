"""Logs of the node's processes: they rotate while a part runs, and are lines of JSON when asked.

A part that ran for weeks filled the disk: its log was moved aside at its next start only.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.node.processes.part_log import LogShape, PartLog, RotatingFile, last_line
from proteinx_pipelines.settings import load_settings

SMALL = LogShape(max_bytes=10_000, n_files=3)
LOUD = "for n in range(3000): print('line', n)"


def run(log: PartLog, code: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=log.open(), stderr=subprocess.STDOUT
    )
    log.started(process)
    process.wait()
    log.ended()
    return process


def files_of(log: PartLog) -> list[Path]:
    """Oldest first."""
    return sorted(log.path.parent.iterdir(), key=lambda path: path.name, reverse=True)


def test_a_log_rotates_while_its_part_runs_and_keeps_the_newest_lines_in_a_fixed_number_of_files(
    tmp_path: Path,
) -> None:
    log = PartLog(tmp_path, "worker", shape=SMALL)
    run(log, LOUD)
    log.close()
    files = files_of(log)
    assert [path.name for path in files] == ["worker.log.2", "worker.log.1", "worker.log"]
    assert all(path.stat().st_size <= SMALL.max_bytes for path in files)
    numbers = [int(line.split()[1]) for path in files for line in path.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 3000))


def test_a_crash_leaves_its_last_words(tmp_path: Path) -> None:
    log = PartLog(tmp_path, "worker", shape=SMALL)
    process = run(log, LOUD + "\nimport os; os.write(2, b'Fatal: the end'); os.abort()")
    assert process.returncode != 0
    assert last_line(log.path) == "Fatal: the end"


def test_json_is_asked_for_and_every_line_is_an_object(tmp_path: Path) -> None:
    log = PartLog(tmp_path, "worker", shape=LogShape(as_json=True))
    ours = {"time": "t", "level": "WARNING", "part": "worker", "logger": "a", "message": "b"}
    dagsters = {
        "timestamp": "t2",
        "level": "error",
        "event": "c",
        "logger": "dagster.daemon",
        "exception": "Trace",
    }
    run(log, f"print({json.dumps(ours)!r}); print({json.dumps(dagsters)!r}); print('größer'); print('[1]')")
    log.close()
    lines = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ours
    told = [(line["level"], line["logger"], line["message"]) for line in lines]
    assert told == [
        ("WARNING", "a", "b"), ("ERROR", "dagster.daemon", "c"), ("INFO", "output", "größer"),
        ("INFO", "output", "[1]"),
    ]  # fmt: skip
    assert lines[1]["trace"] == "Trace"
    assert all(line["part"] == "worker" and line["time"] for line in lines)
    assert last_line(log.path) == "[1]"


def part(folder: Path, **environment: str) -> str:
    """Output of a part that logs at two levels, prints, warns, and shows a trace with a secret."""
    code = """
import logging, sys, warnings
from proteinx_pipelines.node.processes.part_logging import begin_logging
from proteinx_pipelines.settings import load_settings
begin_logging(load_settings(), "agent")
log = logging.getLogger("proteinx_pipelines.node.talking.agent")
log.info("informs")
try:
    raise ValueError("canary-4711")
except ValueError:
    log.exception("fails with %s", "canary-4711")
warnings.warn("warned of")
theirs = logging.getLogger("dagster.daemon")
theirs.addHandler(logging.StreamHandler())
theirs.warning("shown once")
"""
    root = Path(__file__).resolve().parents[2]
    kept = {**os.environ, "PYTHONPATH": str(root), "LAB_API_KEY": "canary-4711", **environment}
    found = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=folder, capture_output=True, text=True, check=True
    )
    return found.stderr


def test_a_part_logs_with_times_and_without_secrets(tmp_path: Path) -> None:
    said = part(tmp_path)
    assert "ERROR proteinx_pipelines.node.talking.agent: fails with ***" in said
    assert said[:4].isdigit()
    assert "ValueError: ***" in said
    assert "warned of" in said
    assert "informs" not in said
    assert said.count("shown once") == 1
    assert "canary" not in said


def test_level_and_form_are_settings(tmp_path: Path) -> None:
    said = part(tmp_path, PROTEINX_LOG_LEVEL="info", PROTEINX_LOG_FORMAT="json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [(line["level"], line["logger"].split(".")[-1]) for line in lines] == [
        ("INFO", "agent"), ("ERROR", "agent"), ("WARNING", "warnings"),
    ]  # fmt: skip
    assert "ValueError: ***" in lines[1]["trace"]
    assert {line["part"] for line in lines} == {"agent"}
    assert "canary" not in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROTEINX_LOG_LEVEL", "LOUD"), ("PROTEINX_LOG_FORMAT", "xml"), ("PROTEINX_LOG_MAX_MB", "0"),
        ("PROTEINX_LOG_FILES", "none"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_settings({variable: value}, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/full")
def test_a_full_disk_does_not_make_a_part_wait(tmp_path: Path) -> None:
    """The lines are lost; the part goes on."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    log = PartLog(tmp_path, "worker")
    code = "import sys\nfor n in range(40000): print('a' * 100)\nsys.exit(7)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=log.open())
    assert log._file is not None
    log._file._stream = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
    log.started(process)
    assert process.wait(timeout=60) == 7


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_while_nobody_reads_a_part_goes_on_for_a_while(tmp_path: Path) -> None:
    """The supervisor may be stopped: a part must be able to write what it usually writes in days."""
    log = PartLog(tmp_path, "worker")
    process = subprocess.Popen([sys.executable, "-u", "-c", "print('a' * 500_000)"], stdout=log.open())
    from proteinx_pipelines.node.processes import part_log

    assert process.stdout is not None
    part_log._widen(process.stdout)
    if sys.platform != "linux":
        process.kill()
        pytest.skip("the size of a pipe is fixed here")
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert process.returncode == 0
    process.stdout.close()


def test_one_file_is_enough_and_a_long_line_is_kept(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.log", LogShape(max_bytes=10, n_files=1))
    for line in (b"123456789\n", b"abcdefghijklmnop\n", b"z\n"):
        file.write(line)
    file.close()
    assert (tmp_path / "a.log").read_bytes() == b"z\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
