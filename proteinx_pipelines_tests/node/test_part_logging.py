"""Structured logs: a line says which experiment it is about."""

import json
import logging
from typing import Any

from proteinx_pipelines.node.processes.part_logging import JsonFormatter
from proteinx_pipelines.observation.at_work import working_on


def line(message: str, *words: object) -> dict[str, Any]:
    record = logging.LogRecord("logger", logging.WARNING, "", 0, message, words, None)
    return dict(json.loads(JsonFormatter("agent").format(record)))


def test_a_line_names_the_experiment_that_the_process_works_on_and_no_other_after_it() -> None:
    with working_on("gb1-001"):
        assert line("anything")["experiment_id"] == "gb1-001"
        with working_on("gb1-002"):
            assert line("anything")["experiment_id"] == "gb1-002"
        assert line("anything")["experiment_id"] == "gb1-001"
    assert "experiment_id" not in line("anything")


def test_a_line_about_a_run_names_its_experiment() -> None:
    assert line("%s: killing process %d.", "gb1-001/2/1", 7)["experiment_id"] == "gb1-001"
    with working_on("other"):
        assert line("%s: lost.", "gb1-001/2/1")["experiment_id"] == "gb1-001"
    for words in ((), ("gb1-001",), ("a/b/c",), (7,)):
        assert "experiment_id" not in line("%s" * len(words), *words)
