"""Draws `docs/pictures/house.svg`: the layers of the code, from the table that a test holds.

    python docs/making/layers_picture.py

A floor is a layer of `test_layers.LAYERS`, a room a module or a package: imports go down, never up and never sideways.
`make docs` draws it, and a test fails while the picture is not that of the code.
"""

import sys
from html import escape
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = REPOSITORY / "docs" / "pictures" / "house.svg"
WIDTH, FLOOR, GAP, LEFT = 980, 32, 6, 34
COLOURS = ("#dbe7f3", "#e6efe0")
"""Of floors in turn; black text can be read on both."""
CAPTION = "Imports go down, never up and never sideways."


def layers() -> tuple[str, ...]:
    """The layers as the test has them, from the bottom up."""
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    from proteinx_pipelines_tests.test_layers import LAYERS

    return LAYERS


def picture(floors: tuple[str, ...]) -> str:
    """The SVG of layers from the bottom up; each has names separated by blanks."""
    height = len(floors) * (FLOOR + GAP) + 36
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{CAPTION}" font-family="sans-serif" font-size="12">'
    )
    parts = [head, f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for layer, names in reversed(list(enumerate(floors))):
        top = 10 + (len(floors) - 1 - layer) * (FLOOR + GAP)
        parts.append(f'<text x="8" y="{top + 21}" fill="#555555">{layer}</text>')
        parts += _rooms(names.split(), top, COLOURS[layer % 2])
    parts.append(f'<text x="{LEFT}" y="{height - 10}" fill="#555555">{CAPTION}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rooms(names: list[str], top: int, colour: str) -> list[str]:
    """The rooms of a floor, as wide as their names and their share of what is left."""
    least = [7 * len(name) + 14 for name in names]
    free = (WIDTH - LEFT - 10 - GAP * (len(names) - 1) - sum(least)) / len(names)
    left, parts = float(LEFT), []
    for name, narrow in zip(names, least, strict=True):
        width = narrow + free
        box = f'x="{left:.0f}" y="{top}" width="{width:.0f}" height="{FLOOR}" rx="3"'
        place = f'x="{left + width / 2:.0f}" y="{top + 21}" text-anchor="middle"'
        parts.append(f'<rect {box} fill="{colour}" stroke="#8899aa"/>')
        parts.append(f'<text {place} fill="#111111">{escape(name)}</text>')
        left += width + GAP
    return parts


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture(layers()), encoding="utf-8")
