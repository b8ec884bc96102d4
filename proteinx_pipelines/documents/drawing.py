"""Draws Markdown pages as plain HTML pages in a folder: for reading without the built site."""

import re
import shutil
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'">
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 62rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; font: 16px/1.55 system-ui, sans-serif; }}
pre {{ overflow-x: auto; padding: .8rem 1rem; border-radius: 4px;
 background: color-mix(in srgb, currentColor 7%, transparent); }}
code {{ font-family: ui-monospace, monospace; font-size: .92em; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
td, th {{ border: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding: .3rem .6rem;
 text-align: left; vertical-align: top; }}
img {{ max-width: 100%; }}
</style></head><body><nav><a href="{home}">All pages</a></nav><main>
{body}</main></body></html>
"""
_PICTURES = {".png", ".svg", ".jpg"}


def draw(base: Path, names: list[str], folder: Path) -> None:
    """Write each page below `folder`, at its own path with the ending `.html`, and the pictures beside them.

    Links between pages lead to the drawn ones; links to other files lead to those files.
    """
    known = set(names)
    for name in names:
        target = folder / Path(name).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_html(base, name, known), encoding="utf-8")
    for picture in (path for path in (base / "docs").rglob("*") if path.suffix in _PICTURES):
        copy = folder / picture.relative_to(base)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, copy)


def _html(base: Path, name: str, known: set[str]) -> str:
    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse((base / name).read_text(encoding="utf-8"))
    title = next(
        (tokens[at + 1].content for at, each in enumerate(tokens) if each.type == "heading_open"), name
    )
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[at + 1].content))
        for child in token.children or ():
            _lead(child, base, name, known)
    up = "../" * name.count("/")
    return _PAGE.format(
        title=re.sub(r"[<>&]", "", title),
        language="zh" if name.startswith("docs/zh/") or name.endswith(".zh.md") else "en",
        home=f"{up}docs/index.html",
        body=reader.renderer.render(tokens, reader.options, {}),
    )


def anchor(heading: str) -> str:
    """The anchor of a heading, as forges and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _lead(token: Token, base: Path, name: str, known: set[str]) -> None:
    """Let a link to a page lead to the drawn one, and one to any other file of the documentation to that file."""
    link = str(token.attrGet("href") or "")
    path, hash_, anchor_ = link.partition("#")
    if token.type != "link_open" or not path or ":" in path:
        return
    there = (base / name).parent / path
    inside = there.resolve().relative_to(base).as_posix() if there.resolve().is_relative_to(base) else ""
    if inside in known:
        token.attrSet("href", f"{path.removesuffix('.md')}.html{hash_}{anchor_}")
    elif there.exists():
        token.attrSet("href", there.resolve().as_uri())
