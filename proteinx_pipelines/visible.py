"""Makes text safe for a terminal: control, invisible and direction-changing characters are written out.

Names and notes of experiments come from any sender of messages. A terminal obeys an escape sequence wherever it
appears; here it becomes the characters that name it.
"""

import re
from typing import Any, TextIO

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters except line break and tab; zero-width letters; characters that change the reading direction."""
_LONGEST_LINE = 500


def visible(text: str) -> str:
    """Make every character of a text visible; line breaks and tabs stay."""
    return _UNSEEN.sub(lambda found: _escaped(found[0]), text.replace("\r\n", "\n"))


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """Make a text visible on one line of bounded length: a line break in a value must not forge the next line."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return visible(cut).replace("\n", "\\n").replace("\t", "\\t")


def indented(text: str, by: int = 2) -> str:
    """Make a text of several lines visible; all lines but the first are indented, so that none passes for ours."""
    return visible(text).replace("\n", "\n" + " " * by)


class VisibleStream:
    """Text stream that writes nothing a terminal would obey; `raw` is the unfiltered stream."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        """Write the text in visible form; returns the number of characters requested."""
        self.raw.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def raw_stream(stream: TextIO) -> TextIO:
    """The underlying stream, for programs that draw on a terminal themselves."""
    return stream.raw if isinstance(stream, VisibleStream) else stream


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"  # as in JSON: a printed document can be read again
