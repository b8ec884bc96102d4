"""Copies the printed output of Python code during a stage, line by line, to a function."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

LINE_CHARS = 10_000
"""Longest line that is passed on; the rest of a longer one follows as the next line."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STREAMS = ("stdout", "stderr")

OnLine = Callable[[str, str], None]
"""(stream, line) -> None."""


class Tee:
    """A text stream that passes everything on and hands whole lines to a function. All else is the stream's own.

    Of a line that is written over (a progress bar ends its states with a carriage return), the last state counts.
    """

    def __init__(self, stream: TextIO, name: str, on_line: OnLine) -> None:
        self._stream = stream
        self._name = name
        self._on_line: OnLine | None = on_line
        self._begun = ""

    def write(self, text: str) -> int:
        """Write; returns the number of characters that were asked for."""
        self._stream.write(text)
        if self._on_line is not None:
            *lines, self._begun = (self._begun + text).replace("\r\n", "\n").split("\n")
            for line in lines:
                self._tell(line)
            self._begun = self._begun.rpartition("\r")[2]
            if len(self._begun) > LINE_CHARS:
                self._tell(self._begun)
                self._begun = ""
        return len(text)

    def end(self) -> None:
        """Hand over a line without an end, and from now on only forward: somebody may still hold this stream."""
        self._tell(self._begun)
        self._on_line = None

    def _tell(self, line: str) -> None:
        shown = _CONTROL.sub("", line.rpartition("\r")[2]).rstrip()
        for start in range(0, len(shown), LINE_CHARS):
            if self._on_line is not None:
                self._on_line(self._name, shown[start : start + LINE_CHARS])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def printed_lines(on_line: OnLine) -> Iterator[None]:
    """Pass text printed inside the block to `on_line`."""
    before = {name: getattr(sys, name) for name in _STREAMS}
    tees = {name: Tee(stream, name, on_line) for name, stream in before.items() if stream is not None}
    for name, tee in tees.items():
        setattr(sys, name, tee)
    try:
        yield
    finally:
        for name, tee in tees.items():
            tee.end()
            if getattr(sys, name) is tee:  # otherwise other code has replaced the stream and will restore it
                setattr(sys, name, before[name])
