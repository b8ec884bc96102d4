"""Strip plot: every variant is a column, every fold a row, coloured by its part."""

from collections.abc import Sequence

import numpy as np

from proteinx_pipelines.pages.figures.colours import PARTS, image, png_address
from proteinx_pipelines.pages.figures.figure import Figure

WIDTH = 960
_LEFT, _TOP, _ROW, _COLUMNS = 58, 26, 18, 1200
_NAMES = ("train", "val", "test", "none")


def strip(parts: np.ndarray, *, caption: str, alternative: str, order: str) -> Figure:
    """Draw the strip.

    Args:
        parts: int8 [K, N], 0 train, 1 val, 2 test, 3 in no part.
        caption: a sentence.
        alternative: the sizes in words.
        order: by what the columns are sorted.
    """
    folds, n = parts.shape
    shown = parts if n <= _COLUMNS else parts[:, np.linspace(0, n - 1, _COLUMNS).astype(np.int64)]
    palette = np.array([_pixel(PARTS.get(name)) for name in _NAMES], np.uint8)
    height = _TOP + _ROW * folds + 30
    drawing = _legend(sorted(set(np.unique(parts).tolist())))
    drawing += image(png_address(palette[shown]), _LEFT, _TOP, WIDTH - _LEFT - 8, _ROW * folds)
    if folds > 1:
        drawing += "".join(
            f'<text class="soft" x="{_LEFT - 6}" y="{_TOP + _ROW * k + 13}" text-anchor="end">fold {k}</text>'
            for k in range(folds)
        )
    drawing += f'<text class="soft" x="{_LEFT}" y="{height - 12}">{n:,} variants, in order of {order}</text>'
    return Figure("split", "static", "Split", caption, alternative, WIDTH, height, drawing, whole=True)


def _pixel(colour: str | None) -> tuple[int, int, int, int]:
    if colour is None:
        return 255, 255, 255, 0
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue, 255


def _legend(codes: Sequence[int]) -> str:
    words = {"train": "train", "val": "validation", "test": "test", "none": "in no part"}
    found = ""
    for place, code in enumerate(codes):
        name, x = _NAMES[code], _LEFT + 110 * place
        found += f'<rect x="{x}" y="6" width="12" height="12" fill="{PARTS.get(name, "none")}" class="axis"/>'
        found += f'<text x="{x + 17}" y="16">{words[name]}</text>'
    return found
