"""Renders templates into pages: autoescape everywhere, inline script and style, and a policy that runs nothing else."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from proteinx_pipelines.pages import numbers
from proteinx_pipelines.pages.figures.figure import HATCH, STANDALONE_STYLE, Figure
from proteinx_pipelines.pages.figures.mutation_map import printed_blocks

ASSETS = Path(__file__).with_name("assets")
"""Style sheet and modules of the script; a page that is served links them instead of containing them."""
_MODULES = ("scale", "csv", "columns", "table", "scatter", "curve", "map", "page")
"""The script's modules, each after the modules it imports."""
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_COMMENT = re.compile(r"^\s*(?://.*|/\*\*.*\*/)\n", re.MULTILINE)


@lru_cache(maxsize=4)
def environment(folder: Path | None = None) -> Environment:
    """Jinja2 over `pages/templates`; an unknown variable is an error, not an empty string.

    Args:
        folder: further templates, which may use those of `pages/templates`.
    """
    own = PackageLoader("proteinx_pipelines.pages")
    found = Environment(
        loader=own if folder is None else ChoiceLoader([FileSystemLoader(folder), own]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "number": numbers.number, "plain": numbers.plain, "percent": numbers.percent, "duration": numbers.duration,
        "svg": lambda figure: Markup(figure.svg()),  # noqa: S704  # made of numbers; texts are escaped there
        "payload": lambda figure: Markup(figure.payload_json()),  # noqa: S704  # JSON without <, > and &
        "blocks": _blocks,
        "coded": _coded,
    }  # fmt: skip
    return found


def render_page(template: str, **context: Any) -> str:
    """Render a self-contained page from a template that extends `base.html`.

    Args:
        template: file name in `pages/templates`.
        context: what the template needs; texts are escaped.
    """
    script, style = inline_script(), inline_style()
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment().get_template(template).render(
        **context,
        script=Markup(script),  # noqa: S704  # ours
        style=Markup(style),  # noqa: S704  # ours
        policy=policy,
        hatch=Markup(HATCH),  # noqa: S704  # ours
        figure_style=STANDALONE_STYLE,
    )  # fmt: skip


@lru_cache(maxsize=1)
def inline_script() -> str:
    """The modules joined into one script, without imports and comments."""
    texts = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in _MODULES]
    return "".join(_COMMENT.sub("", _IMPORT.sub("", text)).replace("\nexport ", "\n") for text in texts)


@lru_cache(maxsize=1)
def inline_style() -> str:
    """The style sheet."""
    return (ASSETS / "style.css").read_text(encoding="utf-8")


def trusted(text: str) -> Markup:
    """Mark a text of ours, made of no one else's words, as HTML."""
    return Markup(text)  # noqa: S704  # the caller vouches for it


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _blocks(figure: Figure) -> Markup:
    return Markup("".join(printed_blocks(figure)))  # noqa: S704  # numbers alone


def _coded(text: str) -> Markup:
    """Escape a text and mark its `quoted` words as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before
