"""The supervisor's messages, and the place of its parts' output. The stories test that it works."""

import subprocess
import sys
import time

import pytest

from proteinx_pipelines.node.processes.part_log import MAX_BYTES, PartLog, last_line
from proteinx_pipelines.node.processes.process_groups import how_it_ended
from proteinx_pipelines.node.talking.reconcile_request import ask_to_reconcile, was_asked_to_reconcile


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with code 0"), (-9, "was killed by SIGKILL"), (-99, "was killed by signal 99")],
)
def test_an_end_is_told_in_words(code, words):
    assert how_it_ended(code) == words


def test_the_last_words_are_the_last_line_that_says_something(tmp_path):
    log = tmp_path / "worker.log"
    assert last_line(log) == ""
    log.write_text("first\nValueError: no\n\n   \n")
    assert last_line(log) == "ValueError: no"
    log.write_bytes(b"\xff" * 10_000)
    assert len(last_line(log)) == 300


def speak(log: PartLog, text: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", f"print({text!r})"], stdout=log.open())
    log.started(process)
    process.wait()
    log.close()


def test_each_start_appends_and_a_long_log_is_moved_aside(tmp_path):
    log = PartLog(tmp_path, "worker")
    speak(log, "one")
    speak(log, "two")
    assert log.path.read_text() == "one\ntwo\n"
    with log.path.open("r+b") as stream:
        stream.truncate(MAX_BYTES + 1)
    speak(log, "three")
    assert log.path.read_text() == "three\n"
    assert (tmp_path / "worker.log.1").stat().st_size == MAX_BYTES + 1


def test_echoed_lines_reach_the_terminal_and_the_file(tmp_path, capfd):
    log = PartLog(tmp_path, "worker", echo=True)
    speak(log, "größer")
    printed = ""
    end = time.monotonic() + 10
    while "worker | größer" not in printed and time.monotonic() < end:
        printed += capfd.readouterr().err
        time.sleep(0.01)
    assert log.path.read_text(encoding="utf-8") == "größer\n"
    assert "worker | größer" in printed


def test_the_agent_is_nudged_once_for_each_time_it_is_asked(settings):
    settings.run_dir.mkdir(parents=True)
    assert not was_asked_to_reconcile(settings)
    ask_to_reconcile(settings)
    ask_to_reconcile(settings)
    assert was_asked_to_reconcile(settings)
    assert not was_asked_to_reconcile(settings)
