"""Suggestions for unknown names: one place compares, and what it compares is bounded."""

import re
import time
from pathlib import Path

from proteinx_pipelines import nearest as module
from proteinx_pipelines.nearest import LONGEST_NAME, did_you_mean, nearest

PACKAGE = Path(module.__file__).parent


def test_the_nearest_names_come_first() -> None:
    assert nearest("gb1-rigde", ["gb1-gp", "gb1-ridge", "zzz"], 3)[0] == "gb1-ridge"
    assert did_you_mean("spearmen", ["spearman", "mse"]) == " Did you mean 'spearman'?"
    assert did_you_mean("zzz", ["spearman"]) == ""


def test_a_name_as_long_as_a_message_suggests_nothing_and_takes_no_time() -> None:
    """Comparing 900,000 letters with each known name held a tick for minutes."""
    began = time.process_time()
    assert nearest("A" * 900_000, ["A" * LONGEST_NAME] * 100) == []
    assert time.process_time() - began < 1


def test_no_other_module_compares_names_or_makes_up_the_error_of_an_unknown_experiment() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert [path.name for path, text in sources.items() if "get_close_matches" in text] == ["nearest.py"]
    said = re.compile(r"There is no experiment \{")
    assert [path.name for path, text in sources.items() if said.search(text)] == ["lookup.py"]
