"""Tracks above a map of positions: secondary structure by height, numbers such as burial by shade."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from proteinx_pipelines.pages.figures.colours import SEQUENTIAL, coloured, image, png_address

HEIGHT = 34
"""Height of one track with its title, in drawing units."""
_TITLE, _BAR = 14, 12
_SHAPES = {"helix": (12, "#E69F00"), "strand": (7, "#0072B2"), "neither": (2, "#7d8797")}
"""Word -> height and colour; told apart without colour too."""


@dataclass(frozen=True)
class Track:
    """One row of marks over the map's positions."""

    name: str
    values: Sequence[str] | np.ndarray
    """P words (`helix`, `strand`, `neither`, or empty where unknown), or float64 [P] with NaN where unknown."""
    note: str
    """Meaning of the marks, in words."""

    @property
    def is_words(self) -> bool:
        """True for words."""
        return not isinstance(self.values, np.ndarray)

    def texts(self) -> list[str]:
        """P texts for the script; empty where unknown."""
        if self.is_words:
            return [str(value) for value in self.values]
        return [f"{value:.3g}" if np.isfinite(value) else "" for value in np.asarray(self.values)]


def draw_tracks(tracks: Sequence[Track], left: int, cell: int) -> str:
    """SVG of the tracks, one below the other, each position `cell` wide from `left`."""
    return "".join(_drawn(track, HEIGHT * number, left, cell) for number, track in enumerate(tracks))


def _drawn(track: Track, top: int, left: int, cell: int) -> str:
    title = f'<text x="{left}" y="{top + 11}">{escape(track.name)}: {escape(track.note)}</text>'
    if not track.is_words:
        values = np.asarray(track.values, np.float64)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        pixels = coloured(values[None], low, (low + high) / 2, high, SEQUENTIAL)
        width = cell * len(values)
        back = f'<rect x="{left}" y="{top + _TITLE + 2}" width="{width}" height="{_BAR}" fill="url(#hatch)"/>'
        return title + back + image(png_address(pixels), left, top + _TITLE + 2, width, _BAR)
    marks = []
    for place, word in enumerate(track.values):
        if word in _SHAPES:
            height, colour = _SHAPES[word]
            y = top + _TITLE + 2 + (_BAR - height) / 2
            x = left + cell * place
            marks.append(f'<rect x="{x}" y="{y:g}" width="{cell}" height="{height}" fill="{colour}"/>')
    return title + "".join(marks)
