"""Text for a terminal: what would move its cursor, change its title, hide or turn round letters is written out.

Names and notes of experiments come from whoever sends messages. A terminal obeys an escape sequence wherever it
stands; here it becomes the characters that name it.
"""

import re
from typing import Any, TextIO

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters but for line break and tab; letters without width; those that turn the direction of reading."""
_LONGEST_LINE = 500


def visible(text: str) -> str:
    """The text with everything in it to be seen; line breaks and tabs stay."""
    return _UNSEEN.sub(lambda found: _escaped(found[0]), text.replace("\r\n", "\n"))


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """The same on one line and not longer than that: a line break in a value must not forge the next line."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return visible(cut).replace("\n", "\\n").replace("\t", "\\t")


class VisibleStream:
    """A text stream that writes nothing which a terminal would obey; `raw` is the stream for what may."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        """Write the text as it is to be seen; the number of characters that were asked for."""
        self.raw.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def raw_stream(stream: TextIO) -> TextIO:
    """The stream behind, for programs that draw on a terminal by themselves."""
    return stream.raw if isinstance(stream, VisibleStream) else stream


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"  # as JSON has it: a document that was printed can be read again
