"""Pictures as files: one document with all of them, from which a page draws them again, and each as an SVG."""

import json
from collections.abc import Sequence

from proteinx_pipelines.pages.figures.figure import Figure

FIGURES = "plots/figures.json"
"""Below `artifacts/`."""


def picture_files(figures: Sequence[Figure]) -> dict[str, bytes]:
    """Contents by their names below `artifacts/`; the same pictures give the same bytes."""
    document = {"format": 1, "figures": [figure.document() for figure in figures]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return {FIGURES: text.encode(), **{f"plots/{figure.name}.svg": figure.svg_file() for figure in figures}}


def pictures_of(content: bytes) -> list[Figure]:
    """The pictures that `picture_files` wrote into `FIGURES`.

    Raises:
        ValueError: it holds something else.
    """
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("format") != 1:
        raise ValueError("it is not a document of pictures in format 1")
    return [Figure.of(entry) for entry in document["figures"]]
