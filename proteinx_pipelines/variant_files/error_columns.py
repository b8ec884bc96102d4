"""Columns with the error of a score, recognised by their names: `fitness_se` beside `fitness`, or `se` alone.

The import keeps them (`measurements`); the selection finds those of the chosen score again (`catalog.standard_errors`).
"""

from collections.abc import Iterable, Iterator, Sequence

from proteinx_pipelines.variant_files.column_names import plain_name

DEVIATION, ERROR, COUNT = "deviation", "standard error", "number of values"
"""Kinds of columns beside a score."""
PLUS_MINUS = "± of "
"""Beginning of the name of a column made from cells such as `1.3 ± 0.2`; the score's name follows."""
VALUES_IN_MEAN = "values in the mean"
"""Name of the column with the number of replicates that the score of a row is the mean of."""
_REPLICATES = "deviation of {} replicates"
_WORDS = {
    ERROR: ("se", "sem", "stderr", "standarderror", "error", "epsilon"),
    DEVIATION: ("sd", "std", "stdev", "stddev", "deviation", "standarddeviation", "sigma"),
}
"""Words that make the name of a score that of its error, before it or behind it."""

NUMBERS_OF_VALUES = (
    "n", "nreplicates", "nreplicate", "nrep", "nreps", "replicates", "numreplicates", "numberofreplicates",
    "replicatecount", "nmeasurements", "numberofmeasurements", "nbarcodes", "barcodes", "uniquebarcodes",
)  # fmt: skip
"""Normalised names of the number of measurements behind a deviation, the most certain first. Reads are not among them:
a deviation between replicates would be divided by the root of the reads."""


def deviation_of_replicates(n: int) -> str:
    """Name of the computed column with the deviation of up to n replicates."""
    return _REPLICATES.format(n)


def is_of_replicates(name: str) -> bool:
    """True for a name of `deviation_of_replicates`."""
    start, end = _REPLICATES.split("{}")
    return name.startswith(start) and name.endswith(end)


def errors_of(score: str, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the place and the kind of each column that is named after the score: `fitness_se`, `sd of fitness`."""
    wanted = _named_after(score)
    for place, name in enumerate(names):
        if (kind := wanted.get(plain_name(name))) is not None:
            yield place, kind


def score_of_error(name: str, scores: Sequence[str]) -> str | None:
    """The score that a column of errors is named after; None for a name such as `se`, which says nothing of it.

    Args:
        name: of the column of errors.
        scores: names of the source's scores.
    """
    for score in scores:
        if name == PLUS_MINUS + score or plain_name(name) in _named_after(score):
            return score
    return None


def _named_after(score: str) -> dict[str, str]:
    """Normalised name -> kind of columns named after a score."""
    own = plain_name(score)
    return {text: kind for kind, words in _WORDS.items() for word in words for text in _with(own, word)}


def _with(score: str, word: str) -> Iterable[str]:
    return (score + word, word + score, f"{word}of{score}") if score else ()
