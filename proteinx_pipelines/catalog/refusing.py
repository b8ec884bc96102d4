"""Decision on whether a file may be imported; the most probable cause of problems comes first."""

import math

from proteinx_pipelines.catalog.causes import fits_all, numbering_sentence, sentences
from proteinx_pipelines.catalog.incoming import Incoming
from proteinx_pipelines.errors import CatalogError

DEFAULT_MOST_BAD = 0.05
"""Share of misspelt rows above which leaving them out is refused."""


def refusal(incoming: Incoming, *, skip_bad: bool, most_bad: float) -> CatalogError | None:
    """Reason why a file is not imported; None if it may be.

    Args:
        incoming: the file as read.
        skip_bad: True if bad rows may be left out.
        most_bad: greatest share of bad rows, not counting unsupported kinds.
    """
    if incoming.nucleotides is not None:
        return CatalogError(f"{incoming.path}: {incoming.nucleotides}")
    if not incoming.bad:
        return None if incoming.n_rows else CatalogError(f"{incoming.path} has no row that can be imported.")
    numbering = numbering_sentence(incoming.given, incoming.better, incoming.n_placed)
    causes = [*filter(None, [numbering]), *sentences(incoming.bad, incoming.unit)]
    certain = fits_all(incoming.better, incoming.n_placed)
    too_many = incoming.n_misspelt > most_bad * incoming.n_rows
    if skip_bad and not certain and not too_many and len(incoming.rows.scores):
        return None
    return CatalogError(
        f"{incoming.path}: {_bad(len(incoming.bad))} bad, so nothing was imported.",
        causes,
        remedy=_remedy(incoming, skip_bad=skip_bad, certain=certain, most_bad=most_bad),
        rows=[f"{incoming.unit} {row.line}: {row.text}" for row in incoming.bad],
    )


def _remedy(incoming: Incoming, *, skip_bad: bool, certain: bool, most_bad: float) -> str:
    if not len(incoming.rows.scores):
        return "There is no row that can be imported."
    if not skip_bad:
        return "--skip-bad imports the others." if not certain else ""
    if certain:
        return "--skip-bad would keep rows that fit by coincidence alone."
    share = incoming.n_misspelt / incoming.n_rows
    return (
        f"--skip-bad leaves out at most {most_bad:.0%} of the rows, and {share:.0%} are bad; "
        f"--most-bad {math.ceil(100 * share)}% allows it."
    )


def _bad(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
