"""Hook of mkdocs: pages outside `docs/`, pages made from the code, and the navigation from `docs/index.md`.

- `README.md`, `CONTRIBUTING.md` and others belong to the site; links between pages are led to their place in it. A link
  to a file that is no page (a script, a folder) becomes its path as text: the site is read without the clone.
- `reference/cli.md` has the help of every command, `reference/python.md` the promised names from their docstrings.
- The navigation is the tables of `docs/index.md`: a page that stands there is in the site, in that order.
"""

import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "readme.md",
    "README.zh.md": "zh/readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
    "client_wheel/README.md": "client.md",
    "proteinx_pipelines/demo/data/README.md": "demo_data.md",
}
"""Pages outside `docs/`: path in the repository -> path in the site."""
MADE = {"reference/cli.md": "Command line", "reference/python.md": "Python, from the docstrings"}
_LINK = re.compile(r"(?<!\\)(\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\])\(([^)\s]+)\)")
_SCRIPT_OF_THE_THEME = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
_SEARCH_OF_THE_THEME = '<div class="md-search" data-md-component="search" role="dialog"'
_BETWEEN_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")
_FENCE = re.compile(r"^ *```")
_ROW = re.compile(r"^\| \[([^\]]+)\]\(([^)#]+)(?:#[^)]*)?\)|^- \[([^\]]+)\]\(([^)#]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Read the navigation from the index."""
    config.nav = navigation((REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8"))
    return config


def navigation(index: str) -> list[Any]:
    """Sections and pages of the index; the pages made from the code belong to the reference."""
    nav: list[Any] = [{"Home": "index.md"}]
    seen = set()
    for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title = part.splitlines()[0].partition(":")[0].strip()
        entries: list[Any] = []
        for line in part.splitlines():
            found = _ROW.match(line)
            place = site_path(posixpath.normpath(f"docs/{found[2] or found[4]}")) if found else None
            if found and place and place not in seen:
                seen.add(place)
                entries.append({found[1] or found[3]: place})
        if title == "Reference":
            entries += [{name: place} for place, name in MADE.items()]
        nav.append({title: entries})
    return nav


def site_path(path: str) -> str | None:
    """Place in the site of a page or picture of the repository; None where it has none."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    inside = path.removeprefix("docs/")
    there = REPOSITORY / path
    return (
        inside if path.startswith("docs/") and there.is_file() and not inside.startswith("making/") else None
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside `docs/` and those made from the code."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(REPOSITORY / path)))
    files.append(File.generated(config, "reference/cli.md", content=command_page()))
    files.append(File.generated(config, "reference/python.md", content=python_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    """Lead the links of a page to their place in the site."""
    here = page.file.src_uri
    path = next((path for path, place in OUTSIDE.items() if place == here), f"docs/{here}")
    fenced, lines = False, []
    for line in markdown.splitlines():
        fenced ^= bool(_FENCE.match(line))
        lines.append(line if fenced or line.startswith("    ") else relinked(line, path, here))
    return "\n".join(lines) + "\n"


def relinked(line: str, path: str, here: str) -> str:
    """A line with its links as the site needs them, pictures in links too."""

    def led(found: re.Match[str]) -> str:
        text, link = found[1], found[2]
        text = _LINK.sub(led, text) if "](" in text else text
        target, hash_, anchor = link.partition("#")
        if not target or ":" in target:
            return f"{text}({link})"
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        place = site_path(there)
        if place is None:
            named = text[1:-1]
            return named if there in named else f"{named} (`{there}`)"
        return f"{text}({posixpath.relpath(place, posixpath.dirname(here) or '.')}{hash_}{anchor})"

    return _LINK.sub(led, line)


def on_page_content(html: str, page: Page, **_others: object) -> str:
    """Say the language of Chinese pages, and let wide tables be scrolled with the keyboard."""
    return f'<div lang="zh">{html}</div>' if page.file.src_uri.startswith("zh/") else html


def on_post_page(output: str, page: Page, **_others: object) -> str:
    """Take the search from files with a script of our own, and name it for a screen reader.

    The theme would fetch a script from elsewhere, and its dialog has no name.
    """
    up = "../" * page.file.dest_uri.count("/")
    named = output.replace(_SEARCH_OF_THE_THEME, f'{_SEARCH_OF_THE_THEME} aria-label="Search"')
    return named.replace(_SCRIPT_OF_THE_THEME, f'<script src="{up}look/worker.js"></script>')


@event_priority(-200)  # after the plugin that writes the index as a script
def on_post_build(config: MkDocsConfig) -> None:
    """Let Chinese be found: its letters go into the index one by one, and the theme's search cuts a query at them."""
    folder = Path(config.site_dir) / "search"
    index = json.loads((folder / "search_index.json").read_text(encoding="utf-8"))
    for document in index["docs"]:
        for field in ("title", "text"):
            document[field] = _BETWEEN_CHINESE.sub("\u200b", document[field])
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (folder / "search_index.json").write_text(text, encoding="utf-8")
    if (folder / "search_index.js").is_file():
        (folder / "search_index.js").write_text(f"var __index = {text}", encoding="utf-8")


def command_page() -> str:
    """The help of every command, from the code."""
    import click

    from proteinx_pipelines.cli.main import main

    width = 84  # what a page of the site shows without scrolling
    os.environ["COLUMNS"] = str(width)
    parts = ["# Command line\n", "Every command explains itself: this is what `--help` prints.\n"]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(
            command, info_name=name.rsplit(" ", 1)[-1], parent=parent, terminal_width=width
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                found = command.get_command(context, each)
                if found is not None and not found.hidden:
                    add(found, f"{name} {each}", context)

    add(main, "proteinx", None)
    return "\n".join(parts)


def python_page() -> str:
    """The promised names, which mkdocstrings reads from the source."""
    from proteinx_pipelines import PROMISED

    parts = [
        "# Python, from the docstrings\n",
        "The promised names are listed with their signatures and errors, from the docstrings.\n",
    ]
    for place in PROMISED.values():
        module, _, name = place.partition(":")
        parts.append(f"::: proteinx_pipelines.{module}.{name}\n")
    return "\n".join(parts)
