"""The code blocks of a Markdown page, and the commands in them.

A block in `bash` or `python` is executed, one with a `title` is written to a file of that name, all others are shown.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
FAILS = re.compile(r"# exit code (\d)")
_FENCE = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command of a `bash` block."""

    words: tuple[str, ...]
    exit_code: int = 0

    @property
    def text(self) -> str:
        """As a person would type it."""
        return shlex.join(self.words)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order; those in a list lose their indent."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [
        Block(language, title, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
        for indent, language, title, text in found
    ]


def commands(text: str) -> list[Command]:
    """The commands of a `bash` block; `# exit code 1` behind one says that it fails, and `&&` joins two."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        fails = FAILS.search(line)
        parts: list[list[str]] = [[]]
        for word in shlex.split(line, comments=True):
            if word == "&&":
                parts.append([])
            else:
                parts[-1].append(word)
        found += [Command(tuple(words), int(fails[1]) if fails else 0) for words in parts if words]
    return found


def pages() -> list[Path]:
    """Pages that promise to work, in their order: README, tutorials, how-to pages, the notes for an upgrade."""
    tutorials = [DOCS / "tutorials" / f"first_{name}.md" for name in ("plate", "node", "fleet")]
    return [
        REPOSITORY / "README.md", *tutorials, *sorted((DOCS / "howto").glob("*.md")), DOCS / "upgrading.md"
    ]  # fmt: skip
