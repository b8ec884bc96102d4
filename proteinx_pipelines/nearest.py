"""Suggestions for a name that is not known: "did you mean".

Every message that suggests a name gets it here, so that the bounds on what is compared hold everywhere.
"""

import difflib
from collections.abc import Iterable

LONGEST_NAME = 200
"""Characters; comparing longer texts takes long and suggests nothing (a message may carry a mebibyte)."""


def nearest(name: str, known: Iterable[str], n: int = 1, *, cutoff: float = 0.6) -> list[str]:
    """The known names that are most like `name`, best first; empty when none is.

    Args:
        name: as it was written.
        known: what there is.
        n: most names to return.
        cutoff: least likeness, from 0 (anything) to 1 (equal).
    """
    if len(name) > LONGEST_NAME:
        return []
    return difflib.get_close_matches(name, list(known), n=n, cutoff=cutoff)


def did_you_mean(name: str, known: Iterable[str], n: int = 1) -> str:
    """` Did you mean 'gb1-ridge' or 'gb1-gp'?`, with a space in front; nothing when no name is like it."""
    found = nearest(name, known, n)
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""
