"""Lines of metrics and events on a disk that has no room for a whole one."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proteinx_pipelines.execution.monitor import JsonLines

resource = pytest.importorskip("resource", reason="needs a system that limits the size of files")
ROOM = 100


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file of this process grows beyond `ROOM` bytes; the system ignores the signal, as Python asks it to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, little_room: None) -> None:
    """Half a line used to stay, and the next attempt's first line went on in it."""
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.append({"name": "a" * 60})
    with pytest.raises(OSError, match="No space left"):
        lines.append({"name": "b" * 60})
    lines.append({"name": "c"})
    lines.close()
    written = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"][0] for line in written] == ["a", "c"]
