"""Two pictures of the data as a grid: which variant is in which part of which fold, and position by residue."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.stages.evaluate.plots import COLOURS, INK, figure_of, png_of
from proteinx_pipelines.stages.evaluate.predict import Predictions

RESIDUES = "GAVLIMFWYPCSTNQHKRDE"
"""Rows of the map: small and aliphatic, aromatic, proline and cysteine, polar, charged."""
MAX_POSITIONS = 480
"""Mutated positions that fit a page; data with more has no map."""
MAX_FOLDS = 40
"""Folds that the split's picture shows."""
MIN_SINGLES = 30
_UNKNOWN = "#cfd5de"
"""Not measured, or not tested: no colour of the maps, and told apart from the white of an error of 0."""
_PER_STRIP = 80
_STRIP_INCHES = 2.35
_COLUMNS = 1200


@dataclass(frozen=True)
class MutationMap:
    """Means over variants by mutated position (P of them) and new residue (20, in the order of `RESIDUES`)."""

    labels: tuple[str, ...]
    """P texts such as `D28`, numbered as people write them."""
    wild_type: np.ndarray
    """int64 [P]: row of the template's residue; -1 where it is none of the twenty."""
    measured: np.ndarray
    """float64 [20, P], all variants; NaN where there is none."""
    predicted: np.ndarray
    """float64 [20, P], test variants."""
    error: np.ndarray | None
    """float64 [20, P], predicted less measured; None where units differ."""
    title: str
    """Source, and what the cells are means of."""


def mutation_map(variants: VariantTable, test: Predictions, *, in_target_units: bool) -> MutationMap | None:
    """Gather the map of the source with the most variants.

    Cells are single mutants where there are at least 30, else means over all variants with that mutation.

    Returns:
        None when no position is mutated, or more than `MAX_POSITIONS` are.
    """
    names, counts = np.unique(variants.column("source").astype(str), return_counts=True)
    source = str(names[counts.argmax()])
    own = variants.column("source") == source
    singles = own & (variants.column("mut_num") == 1)
    chosen = singles if singles.sum() >= MIN_SINGLES else own
    found = parse_mutants(variants.rows.column("mutant"))
    keep = (found.wild_type != found.residue) & chosen[found.row]
    row, position = found.row[keep], found.position[keep]
    index = np.full(256, -1)
    index[np.frombuffer(RESIDUES.encode(), np.uint8)] = np.arange(len(RESIDUES))
    sites, site = np.unique(position, return_inverse=True)
    if not len(sites) or len(sites) > MAX_POSITIONS:
        return None
    cell, shape = index[found.residue[keep]] * len(sites) + site, (len(RESIDUES), len(sites))
    target = variants.column("target").astype(np.float64)
    predicted = np.full(variants.n_variants, np.nan)
    predicted[test.rows] = test.prediction
    template, offset = variants.templates[source], variants.offsets.get(source, 0)
    return MutationMap(
        labels=tuple(f"{template[at - 1]}{at + offset}" for at in sites),
        wild_type=index[[ord(template[at - 1]) for at in sites]],
        measured=_means(cell, target[row], shape),
        predicted=_means(cell, predicted[row], shape),
        error=_means(cell, (predicted - target)[row], shape) if in_target_units else None,
        title=f"{source}: {'single mutants' if chosen is singles else 'means over variants with the mutation'}",
    )


def _means(cell: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    known = np.isfinite(values)
    size = shape[0] * shape[1]
    total = np.bincount(cell[known], weights=values[known], minlength=size)
    count = np.bincount(cell[known], minlength=size)
    means = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
    return np.asarray(means.reshape(shape))


def draw_mutation_map(found: MutationMap) -> bytes:
    """Measured, predicted and error, one under the other, in strips of 80 positions."""
    panels = [("measured", found.measured), ("predicted", found.predicted)]
    panels += [("predicted − measured", found.error)] if found.error is not None else []
    n_strips = -(-len(found.labels) // _PER_STRIP)
    width = max(5.0, 2.2 + 0.125 * min(_PER_STRIP, len(found.labels)))
    rows = n_strips * len(panels)
    height = 0.45 + _STRIP_INCHES * rows + 0.35 * n_strips
    figure, axes = figure_of(width, height, rows=rows, layout=None)
    figure.text(0.3 / width, 1 - 0.25 / height, found.title, fontsize=10, color=INK)
    limits = _limits(found)
    for strip in range(n_strips):
        columns = slice(strip * _PER_STRIP, (strip + 1) * _PER_STRIP)
        for number, (name, values) in enumerate(panels):
            row = strip * len(panels) + number
            axis, bottom = (
                np.atleast_1d(axes)[row],
                (height - 0.45 - _STRIP_INCHES * (row + 1) - 0.35 * strip + 0.1),
            )
            axis.set_position((0.3 / width, bottom / height, (width - 1.1) / width, 2.0 / height))
            bar = figure.add_axes(
                ((width - 0.7) / width, (bottom + 0.2) / height, 0.12 / width, 1.6 / height)
            )
            _draw_strip(figure, axis, bar, found, values, columns, name, limits)
    return png_of(figure)


def _limits(found: MutationMap) -> dict[str, tuple[float, float]]:
    """Colour ranges: measured and predicted share one; errors are symmetric about 0."""
    both = np.concatenate([found.measured.ravel(), found.predicted.ravel()])
    low, high = np.nanquantile(both, [0.01, 0.99])
    limits = {"measured": (low, high), "predicted": (low, high)}
    if found.error is not None:
        most = float(np.nanquantile(np.abs(found.error), 0.99)) if np.isfinite(found.error).any() else 1.0
        limits["predicted − measured"] = (-most, most)
    return limits


def _draw_strip(
    figure: Any,
    axis: Any,
    beside: Any,
    found: MutationMap,
    values: np.ndarray,
    columns: slice,
    name: str,
    limits: Any,
) -> None:
    labels, wild_type = found.labels[columns], found.wild_type[columns]
    low, high = limits[name]
    image = axis.imshow(
        values[:, columns], aspect="auto", interpolation="nearest", vmin=low, vmax=high,
        cmap="RdBu" if name.startswith("predicted −") else "viridis",
    )  # fmt: skip
    axis.set_facecolor(_UNKNOWN)
    axis.grid(visible=False)
    at = np.flatnonzero(wild_type >= 0)
    axis.scatter(at, wild_type[at], s=3, color=INK, linewidths=0)
    axis.set_yticks(range(len(RESIDUES)), list(RESIDUES), fontsize=6, family="monospace")
    step = max(1, -(-len(labels) // 40))
    ticks = range(0, len(labels), step)
    # Positions are named once in a strip: texts are what takes time to draw.
    shown = [labels[k] for k in ticks] if name == list(limits)[-1] else []
    axis.set_xticks(list(ticks)[: len(shown)], shown, fontsize=6, rotation=90)
    axis.tick_params(length=0)
    axis.set_title(name, fontsize=9, color=INK, loc="left", pad=3)
    bar = figure.colorbar(image, cax=beside)
    bar.ax.tick_params(labelsize=6, length=0)
    bar.outline.set_visible(False)


def draw_split(split: Split) -> bytes:
    """Every variant as a column and every fold as a row, coloured by the part it is in."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    n, folds = len(split.ids), split.folds[:MAX_FOLDS]
    grid = np.full((len(folds), n), 3, np.int8)
    for k, fold in enumerate(folds):
        for code, rows in enumerate((fold.train, fold.val, fold.test)):
            grid[k, rows] = code
    if n > _COLUMNS:
        grid = grid[:, np.linspace(0, n - 1, _COLUMNS).astype(np.int64)]
    figure, axis = figure_of(9.6, 1.25 + 0.22 * len(folds))
    colours = [COLOURS["train"], COLOURS["val"], COLOURS["test"], "#ffffff"]
    axis.imshow(
        grid, aspect="auto", interpolation="nearest", cmap=ListedColormap(colours), vmin=-0.5, vmax=3.5,
        extent=(0, n, len(folds) - 0.5, -0.5),
    )  # fmt: skip
    axis.grid(visible=False)
    axis.set_yticks(range(len(folds)), [f"fold {k}" for k in range(len(folds))] if len(folds) > 1 else [""])
    axis.set_xlabel("variants, in order of source, number of mutations and first position", fontsize=9)
    shown = [
        (name, COLOURS[name]) for code, name in enumerate(("train", "val", "test")) if (grid == code).any()
    ]
    shown += [("in no part", "#ffffff")] if (grid == 3).any() else []
    handles = [Patch(facecolor=colour, edgecolor=INK, linewidth=0.4, label=name) for name, colour in shown]
    axis.legend(
        handles=handles, frameon=False, fontsize=9, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1.0),
    )  # fmt: skip
    return png_of(figure)
