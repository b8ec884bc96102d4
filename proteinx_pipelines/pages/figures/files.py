"""Pictures as files: one JSON document with all of them, from which pages redraw them, and one SVG each."""

import json
from collections.abc import Sequence

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.pages.figures.figure import Figure

FIGURES = "plots/figures.json"
"""Path below `artifacts/`."""


def picture_files(figures: Sequence[Figure]) -> dict[str, bytes]:
    """Contents by their names below `artifacts/`; the same pictures give the same bytes."""
    document = {"format": 1, "figures": [figure.document() for figure in figures]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return {FIGURES: text.encode(), **{f"plots/{figure.name}.svg": figure.svg_file() for figure in figures}}


def png_files(figures: Sequence[Figure], scale: float = 2.0) -> dict[str, bytes]:
    """The pictures as PNG, by their names below `artifacts/`.

    Args:
        figures: what is drawn.
        scale: pixels for each unit of the drawing.

    Raises:
        FlagError: the extra `png` is not installed; the message says how to install it.
    """
    try:
        import resvg_py
    except ImportError:
        raise FlagError(
            "PNG pictures need the package resvg-py, which is not installed. Install the extra: "
            "pip install 'proteinx-infra[png]', or leave `evaluate.png` out: every picture is an SVG already."
        ) from None
    return {
        f"plots/{figure.name}.png": bytes(
            resvg_py.svg_to_bytes(svg_string=figure.svg_file().decode(), zoom=max(1, round(scale)))
        )
        for figure in figures
    }


def pictures_of(content: bytes) -> list[Figure]:
    """Read the pictures that `picture_files` wrote into `FIGURES`.

    Raises:
        ValueError: it holds something else.
    """
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("format") != 1:
        raise ValueError("it is not a document of pictures in format 1")
    return [Figure.of(entry) for entry in document["figures"]]
