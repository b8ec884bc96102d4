"""Map of position by residue: panels of fixed-size cells over a shared position axis; scrolls, prints in blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from proteinx_pipelines.pages.figures.colours import DIVERGING, coloured, image, png_address
from proteinx_pipelines.pages.figures.figure import Figure, packed
from proteinx_pipelines.pages.figures.tracks import HEIGHT as TRACK
from proteinx_pipelines.pages.figures.tracks import Track, draw_tracks

RESIDUES = "GAVLIMFWYPCSTNQHKRDE"
"""Row order: small and aliphatic, aromatic, proline and cysteine, polar, charged."""
CELL = 14
"""Side of a cell in drawing units (CSS pixels)."""
AXIS = 26
"""Width of the residue letters on the left."""
PANEL = CELL * (len(RESIDUES) + 1) + 30
"""Height of one panel: title, residues and their mean."""
_FOOT = 46
PER_BLOCK = 60
"""Positions per printed block."""


@dataclass(frozen=True)
class Panel:
    """One map."""

    name: str
    values: np.ndarray
    """float64 [20, P], rows in the order of `RESIDUES`; NaN where a value is missing."""
    centre: float
    """Value at the middle of the scale: the wild type's, or 0 for differences."""
    unit: str
    """Label of the scale."""

    def limits(self) -> tuple[float, float]:
        """Ends of the scale, symmetric around the centre so that equal colours mean equal effects."""
        finite = self.values[np.isfinite(self.values)]
        most = float(np.quantile(np.abs(finite - self.centre), 0.98)) if len(finite) else 1.0
        return self.centre - (most or 1.0), self.centre + (most or 1.0)


def mutation_map(
    labels: Sequence[str],
    wild_type: Sequence[int],
    panels: Sequence[Panel],
    *,
    caption: str,
    alternative: str,
    tracks: Sequence[Track] = (),
) -> Figure:
    """Draw all panels, one below the other.

    Args:
        labels: P positions in the reader's numbering, such as `D28`.
        wild_type: P rows of the template's residue, -1 where it is none of the twenty.
        panels: maps over the same positions, each with at least one value.
        caption: a sentence with the number of cells.
        alternative: the numbers that matter.
        tracks: drawn above the panels, over the same positions.
    """
    columns, head = len(labels), TRACK * len(tracks)
    width, height = AXIS + columns * CELL + 8, head + len(panels) * PANEL + _FOOT
    # The body is drawn once; printed blocks refer to it.
    body = f'<g id="map-tracks">{draw_tracks(tracks, AXIS, CELL)}</g>' if tracks else ""
    body += "".join(_panel(panel, k, wild_type, columns, head) for k, panel in enumerate(panels))
    foot = head + len(panels) * PANEL + 8
    names = "".join(
        f'<text class="letter" transform="translate({AXIS + CELL * k + 10} {foot}) rotate(90)">'
        f"{escape(label)}</text>"
        for k, label in enumerate(labels)
    )
    body += f'<g id="map-positions">{names}</g>'
    return Figure(
        name="mutations",
        kind="map",
        title="Measured, predicted and their difference",
        caption=caption,
        alternative=alternative,
        width=width,
        height=height,
        drawing=body + _letters(len(panels), head),
        payload={
            "labels": list(labels), "residues": RESIDUES, "wild_type": list(wild_type), "cell": CELL, "axis": AXIS,
            "panel": PANEL,
            **({"head": head, "tracks": [{"name": track.name, "values": track.texts()} for track in tracks]}
               if tracks else {}),
            "panels": [
                {"name": panel.name, "unit": panel.unit, "centre": panel.centre, "limits": panel.limits(),
                 "values": packed(panel.values)}
                for panel in panels
            ],
        },
        whole=True,
    )  # fmt: skip


def printed_blocks(figure: Figure) -> list[str]:
    """The map again in blocks that fit a printed page, panel by panel; each block refers to the first drawing."""
    positions, panels = len(figure.payload["labels"]), len(figure.payload["panels"])
    head = int(figure.payload.get("head", 0))
    height, shift = head + PANEL + _FOOT, (panels - 1) * PANEL
    tracks = '<use href="#map-tracks"/>' if head else ""
    blocks = []
    for number in range(panels):
        for start in range(0, positions, PER_BLOCK):
            x, width = AXIS + start * CELL, min(PER_BLOCK, positions - start) * CELL
            blocks.append(
                f'<svg class="block" viewBox="0 0 {AXIS + PER_BLOCK * CELL} {height}" aria-hidden="true">'
                f'<use href="#map-letters"/><svg x="{AXIS}" width="{width}" height="{height}" '
                f'viewBox="{x} 0 {width} {height}">{tracks}<use href="#map-panel-{number}" y="{-number * PANEL}"/>'
                f'<use href="#map-positions" y="{-shift}"/></svg>'
                f'<text x="{AXIS}" y="{head + 15}">{escape(figure.payload["panels"][number]["name"])}</text></svg>'
            )
    return blocks


def _panel(panel: Panel, number: int, wild_type: Sequence[int], columns: int, head: int) -> str:
    top, low_high = head + number * PANEL + 24, panel.limits()
    means = np.full(columns, np.nan)
    some = np.isfinite(panel.values).any(axis=0)
    means[some] = np.nanmean(panel.values[:, some], axis=0)
    cells = np.vstack([panel.values, means])
    pixels = coloured(cells, low_high[0], panel.centre, low_high[1], DIVERGING)
    size = columns * CELL, CELL * cells.shape[0]
    dots = "".join(
        f"M{AXIS + CELL * k + CELL / 2:g} {top + CELL * row + CELL / 2:g}h0"
        for k, row in enumerate(wild_type)
        if row >= 0
    )
    return (
        f'<text x="{AXIS}" y="{top - 9}">{escape(panel.name)}</text><g id="map-panel-{number}">'
        f'<rect x="{AXIS}" y="{top}" width="{size[0]}" height="{size[1]}" fill="url(#hatch)"/>'
        + image(png_address(pixels), AXIS, top, *size)
        + f'<path d="{dots}" stroke="#ffffff" stroke-width="7" stroke-linecap="round" fill="none"/>'
        f'<path d="{dots}" stroke="#1c2430" stroke-width="4" stroke-linecap="round" fill="none"/></g>'
    )


def _letters(panels: int, head: int) -> str:
    """Residue labels beside each panel; those of the first panel are drawn, the others refer to it."""
    letters = "".join(
        f'<text class="letter" x="{AXIS - 8}" y="{head + 24 + CELL * row + 11}" text-anchor="end">{letter}</text>'
        for row, letter in enumerate((*RESIDUES, "⌀"))
    )
    more = "".join(f'<use href="#map-letters" y="{number * PANEL}"/>' for number in range(1, panels))
    return f'<g id="map-letters">{letters}</g>{more}'
